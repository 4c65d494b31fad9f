"""Comparing vectors in the database, by its extension ``vector``, where the server has it and lets us use it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from argosy_core.errors import ArgosyError, PermissionDenied
from argosy_core.index.postgres.search import filters
from argosy_core.index.postgres.tables import Tables
from argosy_core.index.search import Request
from argosy_core.index.vectors import unpacked
from argosy_core.storage.postgres.database import PACKAGE, Session
from argosy_core.storage.postgres.migrating import VECTOR_EXTENSION
from argosy_core.storage.postgres.troubles import driver
from argosy_core.storage.sql_files import script

BROUGHT = 500


class Nearness:
    """Every vector is compared, and none is asked for here. What fails for a reason of the extension's leaves the
    comparing to this process, until the next start. Every call blocks on the database."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._is_there: bool | None = None

    def is_there(self) -> bool:
        """Whether the database compares; a server that has got the extension since is made to."""
        if self._is_there is None:
            [row] = self._tables.rows("extension")
            self._is_there = bool(row["is_used"] or (row["is_there"] and self._has_come()))
        return self._is_there

    def bring(self) -> None:
        """Hand the extension the vectors that were kept without it: none of them is made anew."""
        try:
            while self.is_there() and self._tables.write(_brought) == BROUGHT:
                pass
        except (PermissionDenied, driver().PostgresError):
            self._is_there = False

    def search(
        self, request: Request, shelves: Sequence[int], model: str, asked: Sequence[float], least: float
    ) -> Sequence[tuple[float, Any]] | None:
        """The nearest to *asked*, of length 1, with their cosines, nearest first; None when they are compared here."""
        self.bring()
        if not self.is_there():
            return None
        values = {"asked": _written(asked), "bytes": 4 * len(asked), "least": least, "limit": request.limit}
        try:
            rows = self._tables.rows("nearest", model=model, shelves=list(shelves), **values, **filters(request))
        except (PermissionDenied, driver().PostgresError):
            self._is_there = False
            return None
        return [(row["similarity"], row) for row in rows]

    def _has_come(self) -> bool:
        try:
            self._tables.write(lambda session: session.script(script(PACKAGE, VECTOR_EXTENSION)))
        except (ArgosyError, driver().PostgresError):
            return False
        return bool(self._tables.rows("extension")[0]["is_used"])


async def _brought(session: Session) -> int:
    rows = await session.rows("far", limit=BROUGHT)
    if rows:
        vectors = [_written(unpacked(row["vector"])) for row in rows]
        await session.rows("bring_near", numbers=[row["number"] for row in rows], vectors=vectors)
    return len(rows)


def _written(vector: Sequence[float]) -> str:
    """As the extension reads it; nine digits are all of a 32-bit float."""
    return f"[{','.join(format(value, '.9g') for value in vector)}]"
