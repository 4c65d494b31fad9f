"""What to do next: open steps of goals, then sentences of notes and journal that say what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from argosy_host.providers.offline import cues
from argosy_host.providers.offline.choice import OPEN_STATUSES
from argosy_host.providers.offline.evidence import Source
from argosy_host.providers.offline.intent import Question
from argosy_host.providers.offline.markdown import Unit
from argosy_host.providers.offline.passages import Corpus, Passage, choose, is_machine_talk
from argosy_host.providers.offline.words import normalise, tokens

_STEP_WEIGHT = {"in_progress": 4.0, "awaiting_decision": 3.5, "pending": 3.0}
_ADVISING_KINDS = frozenset({"decision", "feedback", "project", "journal"})
_MOST_OF_A_SOURCE = 3


def next_steps(question: Question, corpus: Corpus, most: int) -> list[Passage]:
    """At most *most* things to do, the most pressing first."""
    steps = list(_open_steps(question, corpus))
    advice = list(_advice(question, corpus))
    candidates = [*steps, *advice]
    return choose(
        [passage for passage, _ in candidates],
        [score for _, score in candidates],
        most,
        most_per_source=_MOST_OF_A_SOURCE,
        weakest_share=0.2,
    )


def _open_steps(question: Question, corpus: Corpus) -> Iterator[tuple[Passage, float]]:
    goals = [source for source in corpus.sources if source.steps and source.status in OPEN_STATUSES]
    related = [goal for goal in goals if _is_related(question, goal)]
    for goal in related if question.next_is_topical else goals:
        bonus = 2.0 if goal in related else 0.0
        for position, (label, status) in enumerate(_steps_to_take(goal)):
            passage = Passage(Unit(label), goal, position, {}, frozenset(tokens(label)), 1.0)
            yield passage, _STEP_WEIGHT[status] + bonus - 0.2 * position


def _steps_to_take(goal: Source) -> list[tuple[str, str]]:
    """The steps of a goal that are not done, without those that wait for another where the goal tells."""
    steps = [(label, status) for label, status in goal.steps.items() if status in _STEP_WEIGHT]
    ready = [step for step in steps if step[0] in goal.ready or step[1] == "awaiting_decision"]
    return ready or steps


def _is_related(question: Question, goal: Source) -> bool:
    own = set(tokens(" ".join([goal.title, *goal.steps, *goal.units])))
    return not own.isdisjoint(question.keywords)


def _advice(question: Question, corpus: Corpus) -> Iterator[tuple[Passage, float]]:
    # One sentence that speaks to a machine makes all advice of its source suspect.
    suspect = {id(passage.source) for passage in corpus.passages if is_machine_talk(passage.text)}
    scores = corpus.scores(question.keywords) if question.keywords else corpus.priors(question.wording)
    best = max(scores, default=0.0) or 1.0
    for passage, score in zip(corpus.passages, scores, strict=True):
        if score > 0 and id(passage.source) not in suspect and is_action(passage):
            standing = 0.4 if passage.source.kind in _ADVISING_KINDS else 0.0
            headed = 0.5 if _is_action_heading(passage.unit.heading) else 0.0
            planned = 2.5 if _is_planned(passage) else 1.0 if passage.unit.box == "open" else 0.0
            yield passage, (0.8 + 1.5 * score / best + standing + headed + planned) * min(1.0, passage.form)


def is_action(passage: Passage) -> bool:
    """Whether a passage tells its reader to do something that is not done."""
    text = passage.text
    if passage.unit.box == "done" or text.endswith(("?", "？")) or passage.source.kind == "goal":
        return False
    folded = f" {normalise(text)} "
    first = folded.split()[0].strip("\"'“‘(") if folded.strip() else ""
    commands = (first.partition("'")[0] in cues.IMPERATIVES and not _is_past(folded)) or _commands_on_condition(folded)
    told = commands or _is_planned(passage) or any(phrase in folded for phrase in cues.ACTION_PHRASES)
    return told or passage.unit.box == "open"


def _is_planned(passage: Passage) -> bool:
    """Whether it is a numbered point of somebody's plan ("Second, settle the cloth")."""
    return normalise(passage.text).startswith(cues.ACTION_OPENINGS)


def _commands_on_condition(folded: str) -> bool:
    # "If a bonus lands, route it to the card": the command stands after the comma.
    condition, _, then = folded.strip().partition(", ")
    return condition.startswith(("if ", "when ", "before ", "after ")) and then.split(" ")[0] in cues.IMPERATIVES


def _is_past(folded: str) -> bool:
    # "Read the report and sent it": verbs whose past looks like their command.
    return folded.split()[0] in ("put", "set", "cut", "read") and any(word.endswith("ed") for word in folded.split())


def _is_action_heading(heading: str) -> bool:
    folded = normalise(heading)
    return any(word in folded for word in cues.ACTION_HEADINGS)


def decision_weight(passages: Sequence[Passage]) -> list[float]:
    """How much more a passage counts when somebody asks what to do: decisions, rules, ways to apply them."""
    return [
        (1.3 if passage.source.kind in ("decision", "feedback") else 1.0)
        * (1.4 if _is_action_heading(passage.unit.heading) else 1.0)
        for passage in passages
    ]
