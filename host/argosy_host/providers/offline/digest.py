"""A stretch of days, told day by day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from argosy_host.providers.offline import cues
from argosy_host.providers.offline.draft import Draft, Section
from argosy_host.providers.offline.intent import Question
from argosy_host.providers.offline.passages import Corpus, grouped
from argosy_host.providers.offline.words import query_tokens

_MOST_DAYS = 8
_MOST_A_DAY = 4
_NEWEST_DAYS = 3
# Goals belong to a look back on a week, not on a day.
_SHORTEST_REVIEW_DAYS = 4
# Spelled out, because strftime follows the locale.
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def by_day(draft: Draft, room: int) -> Iterator[Section]:
    """A section for each day of the question's period, or the newest ones if it has none; then what stands behind."""
    question, corpus = draft.question, draft.corpus
    assert question.period is not None
    since, until = question.period.since.isoformat(), question.period.until.isoformat()
    known = sorted({source.day for source in corpus.sources if source.day})
    days = [day for day in known if since <= day <= until][-_MOST_DAYS:]
    if not days:
        newest = " Its newest entries:" if known else ""
        yield Section(f"The journal holds nothing for {_span(since, until)}.{newest}")
        days = known[-_NEWEST_DAYS:]
    scores = _digest_scores(question, corpus)
    for day, share in _shares(corpus, days, room - 2):
        of_day = [
            score if passage.source.day == day else 0.0 for score, passage in zip(scores, corpus.passages, strict=True)
        ]
        if chosen := draft.choose(of_day, share):
            yield Section(f"{day} ({_WEEKDAYS[date.fromisoformat(day).weekday()]}):", grouped(chosen))
    yield from _beside_the_days(draft, room)


def _span(since: str, until: str) -> str:
    return since if since == until else f"{since} to {until}"


def _shares(corpus: Corpus, days: Sequence[str], room: int) -> list[tuple[str, int]]:
    """How many passages each day gets: as many as the others, and one more while there is room for the fullest."""
    lengths = {day: sum(len(source.units) for source in corpus.sources if source.day == day) for day in days}
    share, extra = divmod(max(room, len(days)), max(1, len(days)))
    fullest = sorted(days, key=lambda day: (-lengths[day], day))[:extra]
    return [(day, min(_MOST_A_DAY, share + (day in fullest))) for day in days]


def _digest_scores(question: Question, corpus: Corpus) -> list[float]:
    """What opens an entry counts most, then what sums others up or is on the topic asked for."""
    said = corpus.relevance([*question.keywords, *query_tokens(cues.DIGEST_WORDS)])
    return [
        passage.form * (1.6 if passage.unit.lead else 1.0) * (1 + score)
        for passage, score in zip(corpus.passages, said, strict=True)
    ]


def _beside_the_days(draft: Draft, room: int) -> Iterator[Section]:
    """What the notes say on the topic of a digest, or the goals that stand behind one without a topic."""
    undated = [passage.source.kind != "journal" for passage in draft.corpus.passages]
    left = max(0, room - len(draft.taken))
    for facet in draft.question.facets:
        scores = draft.corpus.scores(facet.keywords)
        if chosen := draft.choose([score * keep for score, keep in zip(scores, undated, strict=True)], min(3, left)):
            yield Section(f"About “{facet.label}”:", grouped(chosen))
    period = draft.question.period
    if period and (period.until - period.since).days < _SHORTEST_REVIEW_DAYS:
        return
    goals = [
        prior * (passage.source.kind == "goal")
        for prior, passage in zip(draft.corpus.priors(), draft.corpus.passages, strict=True)
    ]
    if chosen := draft.choose(goals, min(3, left), most_per_source=2):
        yield Section("Goals:", grouped(chosen))
