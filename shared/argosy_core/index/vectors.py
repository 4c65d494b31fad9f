"""Vectors of documents beside their words: kept, claimed for embedding, and searched.

A search compares signatures first, one bit a dimension (Charikar 2002, here of the vector's own axes),
~0.1 µs a document, then the vectors of the `RESCORED` nearest. Nothing but the standard library is used.
"""

from __future__ import annotations

import math
import sqlite3
import sys
import threading
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from operator import mul
from typing import Any, NamedTuple

from argosy_core.index.database import Database
from argosy_core.index.documents import Hit, Ranking
from argosy_core.index.evidence import evidence, needles_of
from argosy_core.index.matching import Sought
from argosy_core.index.query import parse
from argosy_core.index.rows import HIDDEN, VISIBLE, id_range, meant, tags_of
from argosy_core.index.search import Request, filters
from argosy_core.index.statements import statement

RESCORED = 300
DEEPER = 8
SPARE = 100
CLAIM_SECONDS = 120.0
LEAST_SIMILARITY = 0.2  # a cosine below that says nothing with the models that endpoints serve


class Meaning(NamedTuple):
    """A text to embed and the digest it is kept under."""

    digest: bytes
    text: str


@dataclass(slots=True)
class _Known:
    """The signatures of one range of ids, as far as they were read."""

    numbers: list[int] = field(default_factory=list[int])
    signatures: list[int] = field(default_factory=list[int])
    seen: set[int] = field(default_factory=set[int])
    last_id: int = 0
    last_number: int = 0


@dataclass(frozen=True, slots=True)
class _Range:
    agent: int
    scope: str
    first: int
    last: int
    documents: int


class _Scored(NamedTuple):
    similarity: float
    number: int
    where: _Range


class Vectors:
    """The vectors in one index file. Every call blocks on the disk."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[tuple[str, str, int], _Known] = {}
        self._done: dict[tuple[str, str, int], int] = {}
        self._guard = threading.Lock()

    @property
    def are_compared_in_database(self) -> bool:
        """Whether a database server compares them, and not this process."""
        return False

    # What is to be embedded

    def claim(self, agent: str, scopes: Collection[str], model: str, *, limit: int, now: float) -> tuple[Meaning, ...]:
        """Texts that have no vector of *model* yet, for the caller to embed: nobody else is given them for two minutes
        from *now* (seconds). Each text once, whatever the number of documents that hold it."""
        return self._database.write(lambda connection: self._claimed(connection, agent, scopes, model, limit, now))

    def _claimed(
        self,
        connection: sqlite3.Connection,
        agent: str,
        scopes: Collection[str],
        model: str,
        limit: int,
        now: float,
    ) -> tuple[Meaning, ...]:
        found: dict[bytes, str] = {}
        for where in _ranges(connection, agent, scopes, include_hidden=True):
            key = (self._database_life(connection), model, where.first)
            arguments: dict[str, Any] = {
                "model": model, "first": where.first, "last": where.last, "after": self._done.get(key, 0), "now": now,
                "limit": limit - len(found),
            }  # fmt: skip
            rows = connection.execute(statement("vectorless", where.agent), arguments).fetchall()
            if not rows and not connection.execute(statement("claims"), {"model": model, "now": now}).fetchone()[0]:
                row = connection.execute(statement("last_id"), {"first": where.first, "last": where.last}).fetchone()
                self._done[key] = row[0] or 0
            for row in rows:
                found.setdefault(row["meaning"], meant(row["title"], row["description"], row["text"]))
            if len(found) >= limit:
                break
        for digest in found:
            claim = {"model": model, "meaning": digest, "until": now + CLAIM_SECONDS}
            connection.execute(statement("claim"), claim)
        return tuple(Meaning(digest, text) for digest, text in found.items())

    def put(self, model: str, vectors: Mapping[bytes, Sequence[float]]) -> None:
        """Keep the vectors of claimed texts, by digest."""
        rows = [
            {"model": model, "meaning": digest, "vector": packed(unit(vector)), "signature": signature(vector)}
            for digest, vector in vectors.items()
        ]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(statement("add_vector"), rows)
            connection.executemany(statement("unclaim"), [{"model": model, "meaning": each} for each in vectors])

        self._database.write(write)

    def release(self, model: str, digests: Collection[bytes]) -> None:
        """Give claims up: the texts are given out again."""
        rows = [{"model": model, "meaning": digest} for digest in digests]
        self._database.write(lambda connection: connection.executemany(statement("unclaim"), rows))

    def count(self, agent: str, scopes: Collection[str], model: str) -> int:
        """How many documents have a vector of *model*."""

        def read(connection: sqlite3.Connection) -> int:
            total = 0
            for where in _ranges(connection, agent, scopes, include_hidden=True):
                arguments = {"model": model, "first": where.first, "last": where.last}
                total += int(connection.execute(statement("count_vectors"), arguments).fetchone()[0])
            return total

        return self._database.read(read)

    # Searching

    def search(
        self, request: Request, model: str, vector: Sequence[float], least: float = LEAST_SIMILARITY
    ) -> tuple[Hit, ...]:
        """The documents nearest to *vector* in meaning that pass the filters of *request*, nearest first; none whose
        cosine is below *least*."""
        return self._database.read(lambda connection: self._nearest(connection, request, model, unit(vector), least))

    def _nearest(
        self, connection: sqlite3.Connection, request: Request, model: str, vector: Sequence[float], least: float
    ) -> tuple[Hit, ...]:
        wanted = int.from_bytes(signature(vector), "big")
        found: list[_Scored] = []
        for where in _ranges(connection, request.agent, request.scopes, request.include_hidden):
            known = self._loaded(connection, where, model)
            found += self._rescored(connection, request, where, known, wanted, model, vector)
        found.sort(key=lambda each: -each.similarity)
        best = [each for each in found[: request.limit] if each.similarity >= least]
        rows = {row["id"]: row for row in _rows(connection, [each.number for each in best])}
        return tuple(
            hit_of(rows[each.number], each.where.scope, each.similarity, place)
            for place, each in enumerate(best, 1)
            if each.number in rows
        )

    def with_snippets(self, request: Request, hits: Sequence[Hit]) -> tuple[Hit, ...]:
        """*hits* with a stretch of their texts where they have none yet."""
        needles = needles_of(parse(request.text), relaxed=True)

        def read(connection: sqlite3.Connection) -> tuple[Hit, ...]:
            return tuple(hit if hit.snippet else _with_snippet(connection, hit, needles) for hit in hits)

        return self._database.read(read)

    def _rescored(
        self,
        connection: sqlite3.Connection,
        request: Request,
        where: _Range,
        known: _Known,
        wanted: int,
        model: str,
        vector: Sequence[float],
    ) -> list[_Scored]:
        """Look deeper only when the filters leave too few of the nearest."""
        distances = [(each ^ wanted).bit_count() for each in known.signatures]
        most = RESCORED
        while True:
            order = nsmallest(most, range(len(distances)), key=distances.__getitem__)
            arguments = {"ids": f"[{','.join(str(known.numbers[at]) for at in order)}]", "model": model}
            rows = connection.execute(statement("vectors_of"), arguments | filters(request)).fetchall()
            scored = [
                _Scored(dot(unpacked(data), vector), number, where)
                for number, data, allowed in rows
                if allowed and len(data) == 4 * len(vector)
            ]
            if len(scored) >= request.limit or most >= len(distances):
                return scored
            most *= DEEPER

    def _loaded(self, connection: sqlite3.Connection, where: _Range, model: str) -> _Known:
        """What is known of *where*, with what came since it was last asked for."""
        key = (self._database_life(connection), model, where.first)
        with self._guard:
            known = self._known.setdefault(key, _Known())
            if len(known.numbers) > 2 * where.documents + SPARE:  # most are of documents that went away
                known = self._known[key] = _Known()
            arguments = {
                "model": model, "first": where.first, "last": where.last, "number": known.last_number,
                "id": known.last_id,
            }  # fmt: skip
            for number, embedding, data in connection.execute(statement("vectors_new"), arguments):
                known.last_number = max(known.last_number, embedding)
                if number not in known.seen:
                    known.seen.add(number)
                    known.last_id = max(known.last_id, number)
                    known.numbers.append(number)
                    known.signatures.append(int.from_bytes(data, "big"))
            return known

    def _database_life(self, connection: sqlite3.Connection) -> str:
        return str(connection.execute(statement("generation")).fetchone()[0])


def _ranges(
    connection: sqlite3.Connection, agent: str, scopes: Collection[str], include_hidden: bool
) -> Iterator[_Range]:
    for shelf in connection.execute(statement("shelves"), {"agent": agent}).fetchall():
        if shelf["scope"] in scopes and shelf["documents"]:
            for hidden in (VISIBLE, HIDDEN) if include_hidden else (VISIBLE,):
                yield _Range(shelf["agent"], shelf["scope"], *id_range(shelf["shelf"], hidden), shelf["documents"])


def _rows(connection: sqlite3.Connection, numbers: Sequence[int]) -> Sequence[sqlite3.Row]:
    ids = f"[{','.join(map(str, numbers))}]"
    return connection.execute(statement("documents_of"), {"ids": ids}).fetchall()


def hit_of(row: Any, scope: str, similarity: float, place: int) -> Hit:
    """What is shown of a row of `documents` that is near in meaning."""
    return Hit(
        path=row["path"],
        name=row["name"],
        title=row["title"],
        type=row["type"],
        scope=scope,
        score=similarity,
        snippet="",
        day=row["day"],
        extra=row["extra"],
        why=f"meaning: {similarity:.2f}",
        description=row["description"],
        tags=tags_of(row["tags"]),
        hidden=bool(row["hidden"]),
        ranking=Ranking(semantic=place, similarity=similarity),
    )


def _with_snippet(connection: sqlite3.Connection, hit: Hit, needles: Sequence[Sought]) -> Hit:
    row = connection.execute(statement("document"), {"path": hit.path}).fetchone()
    if row is None:
        return hit
    body = row["body"]
    if body is None:
        body = connection.execute(statement("text", row["agent"]), {"id": row["id"]}).fetchone()["body"]
    return hit._replace(snippet=evidence((hit.title, hit.description, " ".join(hit.tags), body), needles).snippet())


# Vectors as bytes


def unit(vector: Sequence[float]) -> array[float]:
    """*vector* at length 1; as it is when it has none."""
    length = math.sqrt(sum(map(mul, vector, vector)))
    return array("f", (value / length for value in vector) if length else vector)


def packed(vector: array[float]) -> bytes:
    """32-bit floats, little-endian."""
    if sys.byteorder == "big":
        vector = array("f", vector)
        vector.byteswap()
    return vector.tobytes()


def unpacked(data: bytes) -> array[float]:
    """The vector that `packed` made *data* of."""
    vector = array("f", data)
    if sys.byteorder == "big":
        vector.byteswap()
    return vector


def signature(vector: Sequence[float]) -> bytes:
    """A bit for each dimension: whether it is positive."""
    bits = int("".join("1" if value > 0 else "0" for value in vector) or "0", 2)
    return bits.to_bytes((len(vector) + 7) // 8, "big")


def dot(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of two vectors of length 1."""
    return float(sum(map(mul, one, other)))
