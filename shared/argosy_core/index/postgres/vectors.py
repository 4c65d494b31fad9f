"""Vectors of documents in PostgreSQL: kept, claimed for embedding, and searched by the database or as over SQLite."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from heapq import nsmallest
from typing import Any

from argosy_core.index.documents import Hit
from argosy_core.index.evidence import evidence, needles_of
from argosy_core.index.postgres.nearness import Nearness
from argosy_core.index.postgres.search import filters
from argosy_core.index.postgres.tables import Tables
from argosy_core.index.postgres.writing import clean
from argosy_core.index.query import parse
from argosy_core.index.rows import meant, tags_of
from argosy_core.index.search import Request
from argosy_core.index.vectors import (
    CLAIM_SECONDS,
    LEAST_SIMILARITY,
    RESCORED,
    Meaning,
    dot,
    hit_of,
    packed,
    signature,
    unit,
    unpacked,
)
from argosy_core.storage.postgres.database import Session

SignaturesOfModel = dict[bytes, int]


class PostgresVectors:
    """As `Vectors`. Every call blocks on the database."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._nearness = Nearness(tables)
        self._known: dict[tuple[str, str], tuple[int, SignaturesOfModel]] = {}
        self._guard = threading.Lock()

    @property
    def are_compared_in_database(self) -> bool:
        return self._nearness.is_there()

    def claim(self, agent: str, scopes: Collection[str], model: str, *, limit: int, now: float) -> tuple[Meaning, ...]:
        async def claimed(session: Session) -> tuple[Meaning, ...]:
            rows = await session.rows(
                "vectorless", agent=clean(agent), scopes=list(scopes), model=model, now=now, limit=limit
            )
            meanings = [row["meaning"] for row in rows]
            await session.rows("claim", model=model, meanings=meanings, until=now + CLAIM_SECONDS)
            return tuple(Meaning(row["meaning"], meant(row["title"], row["description"], row["body"])) for row in rows)

        return self._tables.write(claimed)

    def put(self, model: str, vectors: Mapping[bytes, Sequence[float]]) -> None:
        meanings = list(vectors)

        async def put(session: Session) -> None:
            await session.rows(
                "add_vectors",
                model=model,
                meanings=meanings,
                vectors=[packed(unit(vector)) for vector in vectors.values()],
                signatures=[signature(vector) for vector in vectors.values()],
            )
            await session.rows("unclaim", model=model, meanings=meanings)

        self._tables.write(put)
        self._nearness.bring()

    def release(self, model: str, digests: Collection[bytes]) -> None:
        self._tables.rows("unclaim", model=model, meanings=list(digests))

    def count(self, agent: str, scopes: Collection[str], model: str) -> int:
        rows = self._tables.rows("count_vectors", agent=clean(agent), scopes=list(scopes), model=model)
        return int(rows[0]["count"])

    def search(
        self, request: Request, model: str, vector: Sequence[float], least: float = LEAST_SIMILARITY
    ) -> tuple[Hit, ...]:
        shelves = self._tables.rows("shelves", agent=clean(request.agent))
        numbers = [row["shelf"] for row in shelves if row["scope"] in request.scopes]
        near = self._nearness.search(request, numbers, model, unit(vector), least)
        found = near if near is not None else self._compared_here(request, numbers, model, vector, least)
        return tuple(hit_of(row, row["scope"], similarity, place) for place, (similarity, row) in enumerate(found, 1))

    def _compared_here(
        self, request: Request, numbers: Sequence[int], model: str, vector: Sequence[float], least: float
    ) -> Sequence[tuple[float, Any]]:
        """The rows of the nearest with their cosines: by signature first."""
        known = self._signatures(model)
        allowed = self._tables.rows("allowed", shelves=numbers, **filters(request))
        asked, wanted = unit(vector), int.from_bytes(signature(vector), "big")
        signed = [(row["id"], found) for row in allowed if (found := known.get(row["meaning"])) is not None]
        distances = [((found ^ wanted).bit_count(), number) for number, found in signed]
        nearest = [number for _, number in nsmallest(max(RESCORED, request.limit), distances)]
        rows = self._tables.rows("vectors_of", ids=nearest, model=model)
        scored = [(dot(unpacked(row["vector"]), asked), row) for row in rows if len(row["vector"]) == 4 * len(asked)]
        scored = [pair for pair in scored if pair[0] >= least]
        return sorted(scored, key=lambda pair: (-pair[0], pair[1]["id"]))[: request.limit]

    def with_snippets(self, request: Request, hits: Sequence[Hit]) -> tuple[Hit, ...]:
        needles = needles_of(parse(request.text), relaxed=True)
        paths = [hit.path for hit in hits if not hit.snippet]
        texts = {
            row["path"]: (row["title"], row["description"], " ".join(tags_of(row["tags"])), row["body"])
            for row in self._tables.rows("bodies", paths=paths)
        }
        return tuple(
            hit._replace(snippet=evidence(texts[hit.path], needles).snippet()) if hit.path in texts else hit
            for hit in hits
        )

    def _signatures(self, model: str) -> SignaturesOfModel:
        """All signatures of *model*, with what came since they were last asked for."""
        key = (self._tables.generation(), model)
        with self._guard:
            last, known = self._known.get(key, (0, SignaturesOfModel()))
            for row in self._tables.rows("signatures_new", model=model, number=last):
                last = row["number"]
                known[row["meaning"]] = int.from_bytes(row["signature"], "big")
            self._known = {at: value for at, value in self._known.items() if at[0] == key[0]} | {key: (last, known)}
            return known
