"""A query from strict to loose: every word; without the commonest words; any of the rarest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from argosy_core.index.query import Term, unique

Count = Callable[[Term], int]
"""How many of an agent's documents hold a term, at most `MOST_COUNTED`."""

COMMON_SHARE = 0.2
"""A word that more of the agent's documents hold says little, and is the first to be done without."""
LOOSE_TERMS = 8
LOOSE_DOCUMENTS = 300
"""What the loosest stage may have to score. An OR over common words takes 77 ms at 100,000 documents."""
MOST_COUNTED = 20_000
DEAR_COUNT = 256
COUNTS_KEPT = 4_096


@dataclass(frozen=True, slots=True)
class Population:
    """The documents a frequency is about: those of *agent* (*number* names its full-text table), *total* in all."""

    agent: str
    number: int
    total: int


class Frequencies:
    """How many of an agent's documents hold a term, as far as `MOST_COUNTED`.

    Counting takes 30 ns a document. A dear count is remembered until the agent's number of documents has about
    doubled or halved; it only chooses among terms, so it may be that old.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, str], int] = {}

    def of(self, population: Population, term: Term, count: Count) -> int:
        key = (population.agent, population.total.bit_length(), term.match)
        if (known := self._known.get(key)) is not None:
            return known
        found = count(term)
        if found >= DEAR_COUNT:
            if len(self._known) >= COUNTS_KEPT:
                self._known.clear()
            self._known[key] = found
        return found


def stages(
    frequencies: Frequencies, population: Population, terms: Sequence[Term], count: Count
) -> Iterator[tuple[Sequence[Term], bool]]:
    """(terms, whether a document must hold all of them). Frequencies are looked up only when the strictest was not
    enough."""
    yield terms, True
    loose = unique(part for term in terms for part in term.relaxed())
    counted = [(frequencies.of(population, term, count), at) for at, term in enumerate(loose)]
    present = sorted(pair for pair in counted if pair[0])
    affordable = _affordable([count for count, _ in present])
    common = min(COMMON_SHARE * population.total, MOST_COUNTED - 1)
    rare = [loose[at] for count, at in present if count <= common]
    if 1 < len(rare) < len(loose) and len(rare) > affordable:
        yield rare, True
    if present and len(loose) > 1:
        yield [loose[at] for _, at in present[:affordable]], False


def _affordable(counts: Sequence[int]) -> int:
    """How many of the rarest terms can be asked for together so that every document that holds one can be scored."""
    return max(1, sum(total <= LOOSE_DOCUMENTS for total in accumulate(counts[:LOOSE_TERMS])))
