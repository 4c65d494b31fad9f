"""The PostgreSQL store keeps every promise of the conformance suites."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from postgres_server import PostgresServer
from promise_suites import SUITES, WHOLE_STORE, every
from tampering import PostgresDays

from argosy_core.clock import Clock, SystemClock
from argosy_core.ids import SystemIds
from argosy_core.storage.postgres.store import PostgresStore
from argosy_core.testing.conformance import STREAMS

pytestmark = pytest.mark.anyio
OPENER = "argosy_core.storage.opening:open_store"  # for other processes


class Opened:
    """Opens handles on one schema; *part* is what of the store a suite is about."""

    def __init__(self, url: str, root: Path, part: str) -> None:
        self._url = url
        self._root = root
        self._part = part
        store = self._store(None)
        for name in STREAMS:
            # A hidden document makes the agent's folder, and is in no list.
            store.files.replace(f"{name}/.agent", b"made\n")
        store.close()

    def _store(self, clock: Clock | None) -> PostgresStore:
        return PostgresStore(self._url, self._root, clock or SystemClock(), SystemIds())

    @property
    def elsewhere(self) -> Sequence[str]:
        return OPENER, str(self._root), self._url

    @asynccontextmanager
    async def __call__(self, clock: Clock | None = None) -> AsyncGenerator[Any]:
        store = self._store(clock)
        try:
            yield store if self._part in WHOLE_STORE else getattr(store, self._part)
        finally:
            store.close()

    @asynccontextmanager
    async def tamper(self) -> AsyncGenerator[PostgresDays]:
        yield PostgresDays(self._url)


@pytest.mark.parametrize(("suite", "check"), every(SUITES))
async def test_the_postgres_store(
    suite: str, check: Callable[[Any], Awaitable[None]], postgres: PostgresServer, tmp_path: Path
) -> None:
    await check(Opened(postgres.url(), tmp_path, suite))
