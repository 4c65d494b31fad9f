"""What an answer is made of: a section a topic, a section a day, or an overview; then what to do next."""

from __future__ import annotations

from collections.abc import Iterator

from argosy_host.providers.offline import cues
from argosy_host.providers.offline.digest import by_day
from argosy_host.providers.offline.draft import Draft, Section
from argosy_host.providers.offline.next_steps import decision_weight, next_steps
from argosy_host.providers.offline.passages import grouped

_OVERVIEW_SHARE = 0.4


def sections(draft: Draft) -> Iterator[Section]:
    """The sections of the answer, each part of the question in its own."""
    question = draft.question
    if cues.NEXT in question.intents:
        # Asked for nothing but what to do, the steps are the answer; beside other parts they close it.
        most = max(1, draft.room * (4 if question.facets or question.is_digest else 5) // 10)
        draft.steps = next_steps(question, draft.corpus, most)
    room = max(1, draft.room - len(draft.steps))
    if question.is_digest:
        yield from by_day(draft, room)
    elif question.facets:
        yield from _by_facet(draft, room)
    else:
        yield from _overview(draft, room)
    if draft.steps:
        yield Section("Next:", grouped(draft.steps))


def _by_facet(draft: Draft, room: int) -> Iterator[Section]:
    weights = _weights(draft)
    left = len(draft.question.facets)
    for facet in draft.question.facets:
        share = max(1, -(-(room - len(draft.taken)) // left))
        left -= 1
        scores = [score * weight for score, weight in zip(draft.corpus.scores(facet.keywords), weights, strict=True)]
        if max(scores, default=0.0) <= 0:
            yield Section(f"Nothing about “{facet.label}” was found.", missing=facet.label)
        elif chosen := draft.choose(scores, share):
            yield Section(f"About “{facet.label}”:", grouped(chosen))


def _weights(draft: Draft) -> list[float]:
    """How much each passage counts for this kind of question, whatever its topic."""
    intents, passages = draft.question.intents, draft.corpus.passages
    kinds = {kind for intent in cues.INTENTS if intent.name in intents for kind in intent.kinds}
    weights = decision_weight(passages) if cues.NEXT in intents else [1.0] * len(passages)
    return [
        weight * (2.0 if passage.source.kind in kinds else 1.0)
        for weight, passage in zip(weights, passages, strict=True)
    ]


def _overview(draft: Draft, room: int) -> Iterator[Section]:
    """Without a topic: what the sources that came first say first."""
    weights = _weights(draft)
    scores = [
        score * weight for score, weight in zip(draft.corpus.priors(draft.question.wording), weights, strict=True)
    ]
    if chosen := draft.choose(scores, room, 2, _OVERVIEW_SHARE):
        yield Section("From the vault:", grouped(chosen))
    elif not draft.steps:
        yield Section("Nothing was found.", missing="")
