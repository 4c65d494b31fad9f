"""The SQLite store keeps every promise of the conformance suites."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from promise_suites import SUITES, WHOLE_STORE, every

from argosy_core.clock import Clock, SystemClock
from argosy_core.ids import SystemIds
from argosy_core.storage.sqlite.database import Transaction
from argosy_core.storage.sqlite.log_rows import StreamRows
from argosy_core.storage.sqlite.store import SqliteStore
from argosy_core.testing.conformance import STREAMS

pytestmark = pytest.mark.anyio
OPENER = "argosy_core.storage.opening:open_store"  # for other processes
ENTRIES_OF = "SELECT line FROM lines JOIN days ON days.id = day WHERE days.stream = ? ORDER BY path, start"


class RowLines:
    """The way behind the store's back: somebody with the database open in another program."""

    def __init__(self, database: Path) -> None:
        self._database = database

    async def lines(self, stream: str) -> list[bytes]:
        with closing(sqlite3.connect(self._database)) as db:
            return [line.rstrip(b"\n") for (line,) in db.execute(ENTRIES_OF, (stream,))]

    async def put(self, stream: str, lines: Sequence[bytes]) -> None:
        with closing(sqlite3.connect(self._database, isolation_level=None)) as db:
            db.row_factory = sqlite3.Row
            days = [path for (path,) in db.execute("SELECT path FROM days WHERE stream = ? ORDER BY path", (stream,))]
            db.execute("BEGIN IMMEDIATE")
            db.execute("DELETE FROM lines WHERE stream = ?", (stream,))
            db.execute("DELETE FROM files WHERE day IN (SELECT id FROM days WHERE stream = ?)", (stream,))
            db.execute("DELETE FROM days WHERE stream = ?", (stream,))
            path = days[-1] if days else f"{stream}/log/2026-11/2026-11-01.jsonl"
            data = b"".join(line + b"\n" for line in lines)
            StreamRows(Transaction(db), stream).put_day(path, data, 1)
            db.execute("COMMIT")


class Opened:
    """Opens handles on one database; *part* is what of the store a suite is about."""

    def __init__(self, root: Path, part: str) -> None:
        self._root = root
        self._database = root / "fleet.sqlite"
        self._part = part
        store = self._store(None)
        for name in STREAMS:
            # A hidden document makes the agent's folder, and is in no list.
            store.files.replace(f"{name}/.agent", b"made\n")
        store.close()

    def _store(self, clock: Clock | None) -> SqliteStore:
        return SqliteStore(self._database, self._root, clock or SystemClock(), SystemIds())

    @property
    def elsewhere(self) -> Sequence[str]:
        return OPENER, str(self._root), f"sqlite:///{self._database.name}"

    @asynccontextmanager
    async def __call__(self, clock: Clock | None = None) -> AsyncGenerator[Any]:
        store = self._store(clock)
        try:
            yield store if self._part in WHOLE_STORE else getattr(store, self._part)
        finally:
            store.close()

    @asynccontextmanager
    async def tamper(self) -> AsyncGenerator[RowLines]:
        yield RowLines(self._database)


@pytest.mark.parametrize(("suite", "check"), every(SUITES))
async def test_the_sqlite_store(suite: str, check: Callable[[Any], Awaitable[None]], tmp_path: Path) -> None:
    await check(Opened(tmp_path, suite))
