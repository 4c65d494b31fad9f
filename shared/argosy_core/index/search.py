"""Finding and ranking documents, on one connection.

A query is asked for in stages: every word; then without the words that a fifth of the agent's documents hold; then any
of the rarest. A stage scores at most `MOST_SCORED` documents of a shelf, the latest texts first: FTS5 takes about a
microsecond for each, and common words are in all of them. Where that bound is met, the documents that hold the words
outside their bodies are asked for as well: most of the best are among those.

Ranking: BM25 as in FTS5 (Robertson; k1 1.2, b 0.75) with field weights 6 title, 3 description, 3 tags, 1 body; times
``1 + 0.25 / (1 + age in days / 60)``; times 0.75 to 1 for the share of words found to the letter and not as a form.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from argosy_core.index.documents import Hit, SearchResult
from argosy_core.index.evidence import Evidence, evidence, needles_of
from argosy_core.index.query import Term, all_of, any_of, parse, phrase_of, unique
from argosy_core.index.rows import HIDDEN, VISIBLE, day_number, id_range, joined, tags_of, type_mark
from argosy_core.index.snippet import Sought
from argosy_core.index.statements import statement

MOST_SCORED = 1_000
MOST_SCORED_LOOSE = 600
MOST_SCORED_EVER = 1_000_000
DEEPER = 16
LOOSE_TERMS = 8
COMMON_SHARE = 0.2
MOST_COUNTED = 20_000
DEAR_COUNT = 256
COUNTS_KEPT = 4_096
RECENCY = {"boost": 0.25, "half_days": 60.0}
INEXACT_FACTOR = 0.75
SPARE_CANDIDATES = 5
CLOSE_CANDIDATES = 80


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of one search."""

    text: str
    agent: str
    scopes: Collection[str]
    types: Collection[str]
    tags: Collection[str]
    include_hidden: bool
    today: str
    limit: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    row: sqlite3.Row
    agent: int
    scope: str
    stage: int
    score: float


@dataclass(frozen=True, slots=True)
class _Range:
    """Ids to look in: the visible or the hidden documents of one shelf."""

    agent: int
    scope: str
    first: int
    last: int


class Frequencies:
    """How many of an agent's documents hold a term, as far as `MOST_COUNTED`. Counting is 30 ns a document; a count
    that is dear is remembered until the agent's number of documents doubles or halves."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int, str], int] = {}

    def of(self, connection: sqlite3.Connection, generation: str, agent: int, total: int, term: Term) -> int:
        key = (generation, agent, total.bit_length(), term.match)
        if (known := self._known.get(key)) is not None:
            return known
        arguments = {"match": term.match, "most": MOST_COUNTED}
        count = int(connection.execute(statement("frequency", agent), arguments).fetchone()[0])
        if count >= DEAR_COUNT:
            if len(self._known) >= COUNTS_KEPT:
                self._known.clear()
            self._known[key] = count
        return count


def search(connection: sqlite3.Connection, request: Request, frequencies: Frequencies) -> SearchResult:
    terms = parse(request.text)
    shelves = connection.execute(statement("shelves"), {"agent": request.agent}).fetchall()
    ranges = list(_ranges(shelves, request))
    if not terms or not ranges or request.limit < 1:
        return SearchResult(())
    found: dict[int, _Candidate] = {}
    total = sum(shelf["documents"] for shelf in shelves)
    for stage, words in enumerate(_stages(connection, terms, ranges[0].agent, total, frequencies)):
        for where in ranges:
            for row in _matching(connection, request, where, words):
                candidate = _Candidate(row, where.agent, where.scope, stage, row["rank_score"])
                found.setdefault(row["id"], candidate)
        if len(found) >= request.limit:
            break
    return _result(connection, request, terms, list(found.values()))


def _ranges(shelves: Sequence[sqlite3.Row], request: Request) -> Iterator[_Range]:
    for shelf in shelves:
        if shelf["scope"] in request.scopes and shelf["documents"]:
            for hidden in (VISIBLE, HIDDEN) if request.include_hidden else (VISIBLE,):
                yield _Range(shelf["agent"], shelf["scope"], *id_range(shelf["shelf"], hidden))


def _stages(
    connection: sqlite3.Connection, terms: Sequence[Term], agent: int, total: int, frequencies: Frequencies
) -> Iterator[str]:
    """Expressions from strict to loose. Frequencies are looked up only when the strict one was not enough."""
    yield all_of(terms)
    generation = str(connection.execute(statement("generation")).fetchone()[0])
    loose = unique(part for term in terms for part in term.relaxed())
    counted = sorted(
        ((frequencies.of(connection, generation, agent, total, term), term) for term in loose), key=lambda pair: pair[0]
    )
    present = [(count, term) for count, term in counted if count]
    common = min(COMMON_SHARE * total, MOST_COUNTED - 1)
    rare = [term for count, term in present if count <= common]
    affordable = _affordable(present)
    if 1 < len(rare) < len(loose) and len(rare) > len(affordable):
        yield all_of(rare)
    if len(loose) > 1 and present:
        yield any_of(affordable)


def _affordable(present: Sequence[tuple[int, Term]]) -> list[Term]:
    """The rarest terms, as long as the documents that hold any of them can all be scored."""
    sums = accumulate(count for count, _ in present[:LOOSE_TERMS])
    chosen = max(1, sum(total <= MOST_SCORED_LOOSE for total in sums))
    return [term for _, term in present[:chosen]]


def _matching(connection: sqlite3.Connection, request: Request, where: _Range, words: str) -> list[sqlite3.Row]:
    """The best rows that pass the filters. Only filters that leave too few of `MOST_SCORED` make it look deeper."""
    most, close = MOST_SCORED, CLOSE_CANDIDATES + request.limit
    while True:
        rows, matched = _scored(connection, request, where, words, most, close)
        if matched >= most:
            rows += _scored(connection, request, where, f"{{title description tags}} : ({words})", most // 2, close)[0]
        rows = [row for row in rows if row["allowed"]]
        if matched < min(most, close) or len(rows) >= request.limit or most >= MOST_SCORED_EVER:
            return sorted(rows, key=lambda row: -row["rank_score"])
        most, close = most * DEEPER, close * DEEPER


def _scored(
    connection: sqlite3.Connection, request: Request, where: _Range, words: str, most: int, close: int
) -> tuple[list[sqlite3.Row], int]:
    arguments: dict[str, Any] = {
        "match": _filtered(words, request),
        "first": where.first,
        "last": where.last,
        "most": most,
        "close": close,
        "all": request.include_hidden,
        "today": request.today,
        "today_number": day_number(request.today),
        "types": joined(request.types),
        "tags": json.dumps(list(request.tags)),
        "limit": request.limit + SPARE_CANDIDATES,
        **RECENCY,
    }
    rows = connection.execute(statement("search", where.agent), arguments).fetchall()
    return rows, rows[0]["matched"] if rows else 0


def _filtered(words: str, request: Request) -> str:
    """*words* and the filters, as far as the full-text table knows them: rows they rule out are never scored."""
    demands = [f"({words})"]
    if request.types:
        demands.append(f"marks : ({' OR '.join(phrase_of([type_mark(name)]) for name in request.types)})")
    demands += [f"tags : ({all_of(terms)})" for tag in request.tags if (terms := parse(f'"{tag}"'))]
    return " AND ".join(demands)


def _result(
    connection: sqlite3.Connection, request: Request, terms: Sequence[Term], found: Sequence[_Candidate]
) -> SearchResult:
    found = sorted(found, key=lambda each: (each.stage, -each.score))
    needles = [needles_of(terms, relaxed=is_relaxed) for is_relaxed in (False, True)]
    shown = [
        (each, _evidence(connection, each, needles[each.stage > 0]))
        for each in found[: request.limit + SPARE_CANDIDATES]
    ]
    shown.sort(key=lambda pair: (pair[0].stage, -_final_score(*pair)))
    best = shown[: request.limit]
    return SearchResult(
        hits=tuple(_hit(each, seen) for each, seen in best),
        truncated=len(found) > request.limit,
        relaxed=any(each.stage for each, _ in best),
    )


def _evidence(connection: sqlite3.Connection, each: _Candidate, needles: Sequence[Sought]) -> Evidence:
    body = each.row["body"]
    if body is None:
        body = connection.execute(statement("text", each.agent), {"id": each.row["id"]}).fetchone()[0]
    tags = " ".join([*tags_of(each.row["tags"]), each.row["name"]])
    return evidence((each.row["title"], each.row["description"], tags, body), needles)


def _final_score(each: _Candidate, seen: Evidence) -> float:
    return each.score * (INEXACT_FACTOR + (1 - INEXACT_FACTOR) * seen.exact_share)


def _hit(each: _Candidate, seen: Evidence) -> Hit:
    row = each.row
    return Hit(
        path=row["path"],
        name=row["name"],
        title=row["title"],
        type=row["type"],
        scope=each.scope,
        score=_final_score(each, seen),
        snippet=seen.snippet(),
        day=row["day"],
        extra=row["extra"],
        why=seen.why(),
        description=row["description"],
        tags=tags_of(row["tags"]),
        hidden=bool(row["hidden"]),
    )
