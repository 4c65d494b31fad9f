"""Passages: the quotable units of all sources, scored for a part of a question, chosen without repetition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from argosy_host.providers.offline import cues
from argosy_host.providers.offline.evidence import SNIPPET, Source
from argosy_host.providers.offline.markdown import Unit
from argosy_host.providers.offline.ranking import Bm25, is_near_duplicate, weigh
from argosy_host.providers.offline.words import normalise

_CONTEXT_WEIGHT = 0.4
_WEAKEST_SHARE = 0.25
_MOST_CANDIDATES = 60
_MOST_PASSAGES = 4000
# A sentence that leans on the one before it says less when it stands alone.
_LEANING = frozenset({"it", "this", "that", "they", "these", "those", "he", "she", "its", "their", "them"})


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """One unit of one source, with its weighted words."""

    unit: Unit
    source: Source
    position: int
    weights: dict[str, float]
    words: frozenset[str]
    # How well it stands alone, whatever it is about.
    form: float

    @property
    def text(self) -> str:
        """What is quoted."""
        return self.unit.text


class Corpus:
    """Every passage of a set of sources, and BM25 over passages and over whole sources."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = sources
        every = (passage for source in sources for passage in _passages(source))
        self.passages = list(islice(every, _MOST_PASSAGES))
        self._index_of = {id(source): index for index, source in enumerate(sources)}
        self._documents: list[dict[str, float]] = [weigh((_context(source), 2.0)) for source in sources]
        for passage in self.passages:
            document = self._documents[self._index_of[id(passage.source)]]
            for word in passage.words:
                document[word] = document.get(word, 0.0) + 1.0

    @cached_property
    def _by_passage(self) -> Bm25:
        return Bm25([passage.weights for passage in self.passages])

    @cached_property
    def _by_source(self) -> Bm25:
        return Bm25(self._documents)

    def covers(self, source: Source, keywords: Sequence[str]) -> bool:
        """Whether a source speaks of a topic: it holds at least a third of its keywords."""
        document = self._documents[self._index_of[id(source)]]
        return sum(word in document for word in keywords) >= max(1, -(-len(keywords) // 3))

    def scores(self, keywords: Sequence[str]) -> list[float]:
        """A score for each passage: its own relevance, raised by that of its source, weighed by its form."""
        of_sources = self._by_source.scores(keywords)
        best = max(of_sources, default=0.0) or 1.0
        scores: list[float] = []
        for passage, score in zip(self.passages, self._by_passage.scores(keywords), strict=True):
            index = self._index_of[id(passage.source)]
            relevant = self.covers(passage.source, keywords)
            scores.append(score * (1 + of_sources[index] / best) * passage.form if relevant else 0.0)
        return scores

    def priors(self, wording: Sequence[str] = ()) -> list[float]:
        """Scores without a topic: first sentences, sources that came first, late days, and what the *wording* says."""
        return [
            passage.form * (self._standing(passage) + 1.5 * score)
            for passage, score in zip(self.passages, self.relevance(wording), strict=True)
        ]

    def relevance(self, query: Sequence[str]) -> list[float]:
        """BM25 of each passage, the best one's being 1."""
        scores = self._by_passage.scores(query)
        best = max(scores, default=0.0) or 1.0
        return [score / best for score in scores]

    def _standing(self, passage: Passage) -> float:
        if passage.source.day:
            # A day's entries stand in the order of the day: the last is as good as the first.
            return 1 / (1 + self._days.index(passage.source.day))
        return 1 / (1 + passage.position) / (1 + 0.1 * self._index_of[id(passage.source)])

    @cached_property
    def _days(self) -> list[str]:
        return sorted({source.day for source in self.sources if source.day}, reverse=True)


def _context(source: Source) -> str:
    return f"{source.title} {source.name}"


def _passages(source: Source) -> Iterable[Passage]:
    contexts: dict[str, dict[str, float]] = {}
    for position, unit in enumerate(source.units.values()):
        if unit.heading not in contexts:
            contexts[unit.heading] = weigh((f"{unit.heading} {_context(source)}", _CONTEXT_WEIGHT))
        own = weigh((unit.text, 1.0))
        weights = dict(contexts[unit.heading])
        for word, weight in own.items():
            weights[word] = weights.get(word, 0.0) + weight
        words = frozenset(own)
        yield Passage(unit, source, position, weights, words, _form(unit, source, words))


def _form(unit: Unit, source: Source, words: frozenset[str]) -> float:
    text = unit.text
    weight = 1.25 if unit.lead else 1.0
    if source.rank == SNIPPET:
        weight *= 0.6
    if is_machine_talk(text) or normalise(text).startswith(cues.POINTERS):
        weight *= 0.1
    if normalise(unit.heading).startswith(cues.POINTER_HEADINGS):
        weight *= 0.5
    # What a goal is called says less than what a note knows.
    if source.kind == "goal":
        weight *= 0.7
    if text.endswith(("?", "？")):
        weight *= 0.6
    if text.endswith((":", "：")):
        weight *= 0.4
    if len(words) < 3 and len(text) < 20:
        weight *= 0.6
    if text.partition(" ")[0].lower() in _LEANING:
        weight *= 0.85
    return weight


def is_machine_talk(text: str) -> bool:
    """Whether a sentence addresses a model or a program instead of a reader."""
    folded = normalise(text)
    return any(phrase in folded for phrase in cues.MACHINE_TALK)


def choose(
    passages: Sequence[Passage],
    scores: Sequence[float],
    most: int,
    taken: Sequence[Passage] = (),
    most_per_source: int = 4,
    weakest_share: float = _WEAKEST_SHARE,
) -> list[Passage]:
    """The best passages that do not repeat each other, no source with more than its share; best first.

    Maximal marginal relevance (Carbonell & Goldstein 1998), in its multiplied form: what a passage shares with
    one already chosen takes up to half of its score. *taken* are passages chosen before, elsewhere.
    """
    floor = max(scores, default=0.0) * weakest_share
    ranked = sorted(range(len(passages)), key=lambda index: (-scores[index], index))[:_MOST_CANDIDATES]
    pool = [index for index in ranked if scores[index] > 0 and scores[index] >= floor]
    chosen: list[Passage] = []
    while pool and len(chosen) < most:
        seen = [*taken, *chosen]
        best = max(pool, key=lambda index: (scores[index] * (1 - 0.5 * _overlap(passages[index], seen)), -index))
        pool.remove(best)
        passage = passages[best]
        crowded = sum(other.source is passage.source for other in chosen) >= most_per_source
        if not crowded and not any(is_near_duplicate(passage.words, other.words) for other in seen):
            chosen.append(passage)
    return chosen


def _overlap(passage: Passage, others: Sequence[Passage]) -> float:
    size = len(passage.words) or 1
    return max((len(passage.words & other.words) / size for other in others), default=0.0)


def grouped(passages: Sequence[Passage]) -> list[Passage]:
    """The passages source by source, a source's best first met first; within a source as they stand in it."""
    first_met: dict[int, int] = {}
    for passage in passages:
        first_met.setdefault(id(passage.source), len(first_met))
    return sorted(passages, key=lambda passage: (first_met[id(passage.source)], passage.position))
