"""Finding and ranking documents, on one connection.

Each stage of a query scores at most `MOST_SCORED` documents of a shelf, the latest texts first: FTS5 takes about a
microsecond for each, and common words are in all of them. Where that bound is met, the documents that hold the words
outside their bodies are asked for as well: most of the best are among those. A strict stage's finds come before a
loose one's.

Ranking: BM25 as in FTS5 (Robertson; k1 1.2, b 0.75) with field weights 6 title, 3 description, 3 tags, 1 body; times
``1 + 0.25 / (1 + age in days / 60)``; times 0.75 to 1 for the share of words that stand there to the letter; in a loose
stage, times 0.5 to 1 for the share of words that stand there in any form.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from argosy_core.index.documents import Hit, Ranking, SearchResult
from argosy_core.index.evidence import Evidence, evidence, needles_of
from argosy_core.index.matching import Sought
from argosy_core.index.query import Term, all_of, any_of, parse, phrase_of
from argosy_core.index.rows import HIDDEN, VISIBLE, day_number, id_range, joined, tags_of, type_mark
from argosy_core.index.stages import MOST_COUNTED, Frequencies, Population, stages
from argosy_core.index.statements import statement

MOST_SCORED = 1_000
MOST_SCORED_OUTSIDE = 500
MOST_SCORED_EVER = 1_000_000
CLOSE_CANDIDATES = 40
SPARE_CANDIDATES = 5
DEEPER = 16
RECENCY = {"boost": 0.25, "half_days": 60.0}
INEXACT_FACTOR = 0.75
PARTIAL_FACTOR = 0.5


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
    say_why: bool = True


@dataclass(frozen=True, slots=True)
class _Range:
    """Ids to look in: the visible or the hidden documents of one shelf."""

    agent: int
    scope: str
    first: int
    last: int


class Candidate(NamedTuple):
    """A row that matched; *agent* is the number of the full-text table that may hold its text."""

    row: Any
    scope: str
    stage: int
    agent: int = 0


class _Read(NamedTuple):
    """A candidate whose text was looked through; *exactness* and with it *score* come from what stands there."""

    candidate: Candidate
    evidence: Evidence
    tags: tuple[str, ...]
    exactness: float
    score: float


def search(connection: sqlite3.Connection, request: Request, frequencies: Frequencies) -> SearchResult:
    terms = parse(request.text)
    shelves = connection.execute(statement("shelves"), {"agent": request.agent}).fetchall()
    ranges = list(_ranges(shelves, request))
    if not terms or not ranges or request.limit < 1:
        return SearchResult(())
    found: dict[int, Candidate] = {}
    population = Population(request.agent, ranges[0].agent, sum(shelf["documents"] for shelf in shelves))

    def count(term: Term) -> int:
        arguments = {"match": term.match, "most": MOST_COUNTED}
        return int(connection.execute(statement("frequency", population.number), arguments).fetchone()[0])

    for stage, (wanted, is_every) in enumerate(stages(frequencies, population, terms, count)):
        words = all_of(wanted) if is_every else any_of(wanted)
        for where in ranges:
            for row in _matching(connection, request, where, words):
                found.setdefault(row["id"], Candidate(row, where.scope, stage, where.agent))
        if len(found) >= request.limit:
            break
    return result_of(request, terms, found.values(), lambda chosen: _bodies(connection, chosen))


def _ranges(shelves: Sequence[sqlite3.Row], request: Request) -> Iterator[_Range]:
    for shelf in shelves:
        if shelf["scope"] in request.scopes and shelf["documents"]:
            for hidden in (VISIBLE, HIDDEN) if request.include_hidden else (VISIBLE,):
                yield _Range(shelf["agent"], shelf["scope"], *id_range(shelf["shelf"], hidden))


def _matching(connection: sqlite3.Connection, request: Request, where: _Range, words: str) -> Collection[sqlite3.Row]:
    """The best rows that pass the filters. Only filters that leave too few of the first make it look deeper."""
    most, most_outside, close = MOST_SCORED, MOST_SCORED_OUTSIDE, CLOSE_CANDIDATES + request.limit
    while True:
        rows, matched = _scored(connection, request, where, words, most, close)
        if matched >= most:
            outside = f"{{title description tags}} : ({words})"
            rows += _scored(connection, request, where, outside, most_outside, close)[0]
        best = {row["id"]: row for row in sorted(rows, key=_rank_score) if row["allowed"]}
        if matched < min(most, close) or len(best) >= request.limit or most >= MOST_SCORED_EVER:
            return best.values()
        most, most_outside, close = most * DEEPER, most_outside * DEEPER, close * DEEPER


def _scored(
    connection: sqlite3.Connection, request: Request, where: _Range, words: str, most: int, close: int
) -> tuple[list[sqlite3.Row], int]:
    """The best rows of the *close* best of *most* matches, and how many matches of *most* there were."""
    arguments: dict[str, Any] = {
        "match": _filtered(words, request),
        "first": where.first,
        "last": where.last,
        "most": most,
        "close": close,
        "today_number": day_number(request.today),
        "limit": request.limit + SPARE_CANDIDATES,
        **filters(request),
        **RECENCY,
    }
    rows = connection.execute(statement("search", where.agent), arguments).fetchall()
    return rows, rows[0]["matched"] if rows else 0


def filters(request: Request) -> dict[str, Any]:
    """The arguments of what a statement calls ``allowed``."""
    return {
        "all": request.include_hidden,
        "today": request.today,
        "types": joined(request.types),
        "tags": json.dumps(list(request.tags)),
    }


def _filtered(words: str, request: Request) -> str:
    """*words* and the filters, as far as the full-text table knows them: rows they rule out are never scored."""
    demands = [f"({words})"]
    if request.types:
        demands.append(f"marks : ({' OR '.join(phrase_of([type_mark(name)]) for name in request.types)})")
    demands += [f"tags : ({all_of(terms)})" for tag in request.tags if (terms := parse(f'"{tag}"'))]
    return " AND ".join(demands)


def result_of(
    request: Request,
    terms: Sequence[Term],
    found: Collection[Candidate],
    bodies_of: Callable[[Sequence[Candidate]], Mapping[int, str]],
) -> SearchResult:
    """Candidates a little beyond the limit are read, so that one with the very words can pass one with their forms."""
    needles = [needles_of(terms, relaxed=is_relaxed) for is_relaxed in (False, True)]
    first = sorted(found, key=lambda each: (each.stage, -_rank_score(each.row)))[: request.limit + SPARE_CANDIDATES]
    bodies = bodies_of(first)
    read = [_read(each, bodies[each.row["id"]], needles[each.stage > 0]) for each in first]
    best = sorted(read, key=lambda seen: (seen.candidate.stage, -seen.score))[: request.limit]
    return SearchResult(
        hits=tuple(_hit(seen, place, request.say_why) for place, seen in enumerate(best, 1)),
        truncated=len(found) > request.limit,
        relaxed=any(seen.candidate.stage for seen in best),
    )


def _rank_score(row: Any) -> float:
    return float(row["rank_score"])


def _bodies(connection: sqlite3.Connection, candidates: Sequence[Candidate]) -> dict[int, str]:
    """Each one's text: its own, or what the full-text table holds, in one statement an agent."""
    bodies: dict[int, str] = {each.row["id"]: each.row["body"] for each in candidates if each.row["body"] is not None}
    for agent in {each.agent for each in candidates}:
        wanted = [n for each in candidates if each.agent == agent and (n := each.row["id"]) not in bodies]
        bodies.update(connection.execute(statement("texts", agent), {"ids": json.dumps(wanted)}).fetchall())
    return bodies


def _read(each: Candidate, body: str, needles: Sequence[Sought]) -> _Read:
    row = each.row
    tags = tags_of(row["tags"])
    seen = evidence((row["title"], row["description"], " ".join([*tags, row["name"]]), body), needles)
    exactness = INEXACT_FACTOR + (1 - INEXACT_FACTOR) * seen.exact_share
    partial = PARTIAL_FACTOR + (1 - PARTIAL_FACTOR) * seen.share if each.stage else 1.0
    return _Read(each, seen, tags, exactness, _rank_score(row) * exactness * partial)


def _hit(read: _Read, place: int, say_why: bool) -> Hit:
    each, seen = read.candidate, read.evidence
    row = each.row
    return Hit(
        path=row["path"],
        name=row["name"],
        title=row["title"],
        type=row["type"],
        scope=each.scope,
        score=read.score,
        snippet=seen.snippet(),
        day=row["day"],
        extra=row["extra"],
        why=seen.why() if say_why else "",
        description=row["description"],
        tags=read.tags,
        hidden=bool(row["hidden"]),
        ranking=Ranking(place, each.stage, float(row["bm25"]), float(row["recency"]), read.exactness),
    )
