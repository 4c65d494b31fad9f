"""Finding and ranking documents in PostgreSQL.

The stages, the evidence and the factor for the very words are those of `index.search`. In place of BM25 a document's
score is the sum over its terms of ``ts_rank`` (weights as there, over the logarithm of the length) times the term's
``ln(1 + (N - n + 0.5) / (n + 0.5))``, N documents of which n hold it (Robertson); times the same recency.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

from argosy_core.index.documents import SearchResult
from argosy_core.index.postgres.lexemes import every, some
from argosy_core.index.postgres.tables import Tables
from argosy_core.index.postgres.writing import clean
from argosy_core.index.query import Term, parse
from argosy_core.index.rows import day_number, joined
from argosy_core.index.search import (
    MOST_SCORED,
    MOST_SCORED_OUTSIDE,
    RECENCY,
    SPARE_CANDIDATES,
    Candidate,
    Request,
    result_of,
)
from argosy_core.index.stages import MOST_COUNTED, Frequencies, Population, stages

OUTSIDE = "ABC"


def find(tables: Tables, request: Request, frequencies: Frequencies) -> SearchResult:
    """The best documents for *request*, as `DocumentIndex.find`."""
    terms = parse(clean(request.text))
    shelves = tables.rows("shelves", agent=clean(request.agent))
    numbers = [row["shelf"] for row in shelves if row["scope"] in request.scopes and row["documents"]]
    if not terms or not numbers or request.limit < 1:
        return SearchResult(())
    population = Population(request.agent, 0, sum(row["documents"] for row in shelves))

    def count(term: Term) -> int:
        values = {"match": every([term]), "apart": every([term], apart=True), "most": MOST_COUNTED}
        return int(tables.rows("frequency", agent=clean(request.agent), **values)[0]["count"])

    found: dict[int, Candidate] = {}
    for stage, (wanted, is_every) in enumerate(stages(frequencies, population, terms, count)):
        weights = [1.0]
        if len(wanted) > 1:
            weights = [_rarity(population.total, frequencies.of(population, term, count)) for term in wanted]
        for row in tables.rows("search", **_arguments(request, numbers, wanted, is_every, weights)):
            found.setdefault(row["id"], Candidate(row, row["scope"], stage))
        if len(found) >= request.limit:
            break
    candidates = found.values()
    return result_of(request, terms, candidates, lambda chosen: {each.row["id"]: each.row["body"] for each in chosen})


def filters(request: Request) -> dict[str, Any]:
    """The arguments of what rows must pass."""
    return {
        "all": request.include_hidden,
        "today": clean(request.today),
        "types": clean(joined(request.types)),
        "tags": [clean(tag) for tag in request.tags],
    }


def _arguments(
    request: Request, shelves: Collection[int], wanted: Sequence[Term], is_every: bool, weights: Sequence[float]
) -> dict[str, Any]:
    made = every if is_every else some
    return {
        "match": made(wanted),
        "apart": made(wanted, apart=True),
        "outside": made(wanted, OUTSIDE),
        "shelves": list(shelves),
        "most": MOST_SCORED,
        "most_outside": MOST_SCORED_OUTSIDE,
        "terms": [every([term]) for term in wanted],
        "weights": list(weights),
        "today_number": day_number(request.today),
        "limit": request.limit + SPARE_CANDIDATES,
        **filters(request),
        **RECENCY,
    }


def _rarity(total: int, count: int) -> float:
    return math.log1p((max(total, count) - count + 0.5) / (count + 0.5))
