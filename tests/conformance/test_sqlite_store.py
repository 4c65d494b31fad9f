"""The SQLite store keeps every promise of the conformance suites."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from promise_suites import SUITES, WHOLE_STORE, every
from tampering import SqliteDays

from argosy_core.clock import Clock, SystemClock
from argosy_core.ids import SystemIds
from argosy_core.storage.sqlite.store import SqliteStore
from argosy_core.testing.conformance import STREAMS

pytestmark = pytest.mark.anyio
OPENER = "argosy_core.storage.opening:open_store"  # for other processes


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
    async def tamper(self) -> AsyncGenerator[SqliteDays]:
        yield SqliteDays(self._database)


@pytest.mark.parametrize(("suite", "check"), every(SUITES))
async def test_the_sqlite_store(suite: str, check: Callable[[Any], Awaitable[None]], tmp_path: Path) -> None:
    await check(Opened(tmp_path, suite))
