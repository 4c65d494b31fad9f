"""An answer under way: the question, what there is to quote, and what its sections have taken of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from argosy_host.providers.offline.intent import Question
from argosy_host.providers.offline.passages import Corpus, Passage, choose


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its quotations. *missing* is what was asked for and not found."""

    heading: str
    passages: Sequence[Passage] = ()
    missing: str | None = None


@dataclass(slots=True)
class Draft:
    """An answer under way. *room* is how many passages it may hold, *taken* what its sections hold so far."""

    question: Question
    corpus: Corpus
    room: int
    steps: list[Passage] = field(default_factory=list[Passage])
    taken: list[Passage] = field(default_factory=list[Passage])

    def choose(
        self, scores: Sequence[float], most: int, most_per_source: int = 4, weakest_share: float = 0.25
    ) -> list[Passage]:
        """Choose passages that no section has yet."""
        taken = [*self.steps, *self.taken]
        chosen = choose(self.corpus.passages, scores, most, taken, most_per_source, weakest_share)
        self.taken += chosen
        return chosen
