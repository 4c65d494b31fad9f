"""The index's tables: asked from any thread, made anew when they are gone or cut texts in an older way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from argosy_core.errors import ArgosyError, Unavailable
from argosy_core.ids import SystemIds
from argosy_core.index.postgres.lexemes import WORDS_VERSION
from argosy_core.storage.postgres.database import Database, Session
from argosy_core.storage.postgres.migrating import index_tables

T = TypeVar("T")
FILE = "index.sql"
ATTEMPTS = 3
_NO_TABLE = "42P01"


class Tables:
    """Statements on the tables of one vault's index. Blocks; raises Unavailable when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._is_closed = False
        self._is_known = False

    def rows(self, name: str, /, **values: Any) -> Sequence[Any]:
        """What statement *name* gives."""
        return self.run(lambda session: session.rows(name, **values))

    def run(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """What *work* comes to; it may run again, on new and empty tables."""
        if not self._is_known:
            self.generation()
        return self._retried(work)

    def write(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """As `run`, in a transaction, one at a time in all processes on all hosts."""

        async def held(session: Session) -> T:
            async with session.transaction():
                await session.rows("hold")
                return await work(session)

        return self.run(held)

    def generation(self) -> str:
        """Names the life of the tables. Raises Unavailable for those of a newer program."""
        found = self._retried(_life)
        if found is None or found[1] < WORDS_VERSION:
            self._retried(_make_anew)
            found = self._retried(_life)
        if found is None:
            raise Unavailable("the search index cannot be kept", hint="look at the database")
        if found[1] > WORDS_VERSION:
            raise Unavailable("the search index was made by a newer Argosy", hint="update this one")
        self._is_known = True
        return found[0]

    def close(self) -> None:
        self._is_closed = True

    def _retried(self, work: Callable[[Session], Awaitable[T]]) -> T:
        for _ in range(ATTEMPTS):
            if self._is_closed:
                raise Unavailable("the search index is closed")
            try:
                return self._database.wait(FILE, lambda session, _: work(session))
            except ArgosyError as failure:
                if getattr(failure.__cause__, "sqlstate", None) != _NO_TABLE:
                    raise
            self._database.wait(FILE, lambda session, _: _make_anew(session))
        raise Unavailable("the search index's tables go away again and again", hint="look who drops them")


async def _life(session: Session) -> tuple[str, int] | None:
    row = await session.row("life")
    return (row["generation"], row["version"]) if row is not None else None


async def _make_anew(session: Session) -> None:
    """New tables, unless somebody else has just made them."""
    async with session.transaction():
        await session.rows("hold")
        if await _is_whole(session):
            return
        await session.rows("drop")
        await session.script(index_tables())
        await session.rows("begin_life", generation=SystemIds().random(8).hex(), version=WORDS_VERSION)


async def _is_whole(session: Session) -> bool:
    row = await session.row("whole")
    if row is None or row["tables"] < row["wanted"]:
        return False
    life = await _life(session)
    return life is not None and life[1] >= WORDS_VERSION
