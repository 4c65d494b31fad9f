"""Whatever call below a store fails, it keeps its promises: each substrate with its own lowest layer."""

from __future__ import annotations

import errno
import sqlite3
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cutting_proxy import CuttingProxy
from postgres_server import PostgresServer
from promise_suites import every
from redis_server import RedisServer

from argosy_core.clock import Clock, SystemClock
from argosy_core.fs import PosixFileSystem
from argosy_core.ids import SystemIds
from argosy_core.storage.address import Address
from argosy_core.storage.base import Store
from argosy_core.storage.files.store import FileStore
from argosy_core.storage.opening import open_store
from argosy_core.storage.redis import connection as redis_connection
from argosy_core.storage.sqlite import database as sqlite_database
from argosy_core.storage.sqlite.database_file import connect
from argosy_core.testing.conformance import STREAM, failing
from argosy_core.testing.faults import ALL_CALLS, FaultyFileSystem
from argosy_core.vault import Vault

pytestmark = pytest.mark.anyio
SUITE = {"failing": failing.CHECKS}


class DiskFaults:
    """Calls to the file system fail with EIO."""

    stride = 1

    def __init__(self) -> None:
        self.fs = FaultyFileSystem(PosixFileSystem())

    def arm(self, nth: int) -> None:
        self.fs.arm(nth, errno.EIO, calls=ALL_CALLS)

    def disarm(self) -> bool:
        return self.fs.disarm()


class CallFaults:
    """Calls to a driver fail with the error that *make* gives."""

    stride = 1

    def __init__(self, make: Callable[[], Exception]) -> None:
        self._make = make
        self._left = 0
        self._was_hit = False

    def arm(self, nth: int) -> None:
        self._left, self._was_hit = nth, False

    def disarm(self) -> bool:
        self._left = 0
        return self._was_hit

    def step(self) -> None:
        """One call is made."""
        if self._left:
            self._left -= 1
            if self._left == 0:
                self._was_hit = True
                raise self._make()


class FaultyConnection:
    """A connection to SQLite whose statements can fail before they do anything."""

    def __init__(self, inner: sqlite3.Connection, faults: CallFaults) -> None:
        self._inner = inner
        self._faults = faults

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if not sql.startswith("ROLLBACK"):
            self._faults.step()
        return self._inner.execute(sql, *values)

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        self._faults.step()
        return self._inner.executemany(sql, rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class LostAnswers:
    """Answers of a PostgreSQL are lost after it has done its work; the connection ends with them."""

    stride = 2

    def __init__(self, proxy: CuttingProxy) -> None:
        self._proxy = proxy

    def arm(self, nth: int) -> None:
        self._proxy.cut(nth - 1)

    def disarm(self) -> bool:
        was_cut = self._proxy.was_cut
        self._proxy.cut(-1)
        return was_cut


class Opened:
    """Opens handles on one vault with *make*."""

    def __init__(self, faults: failing.Faults, make: Callable[[Clock], Store]) -> None:
        self.faults = faults
        self._make = make
        store = make(SystemClock())
        store.files.replace(f"{STREAM}/.agent", b"made\n")
        store.close()

    @asynccontextmanager
    async def __call__(self, clock: Clock | None = None) -> AsyncGenerator[Store]:
        store = self._make(clock or SystemClock())
        try:
            yield store
        finally:
            store.close()


Check = Callable[[Any], Awaitable[None]]


@pytest.mark.parametrize(("suite", "check"), every(SUITE))
async def test_files_over_a_failing_disk(suite: str, check: Check, tmp_path: Path) -> None:
    faults = DiskFaults()
    await check(Opened(faults, lambda clock: FileStore(Vault(tmp_path, fs=faults.fs), clock, SystemIds())))


def io_error() -> sqlite3.Error:
    """What SQLite says when the disk fails it."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    return error


@pytest.mark.parametrize(("suite", "check"), every(SUITE))
async def test_sqlite_over_a_failing_disk(
    suite: str, check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = CallFaults(io_error)
    monkeypatch.setattr(sqlite_database, "connect", lambda path: FaultyConnection(connect(path), faults))
    address = "sqlite:///fleet.sqlite"
    await check(Opened(faults, lambda clock: open_store(tmp_path, address, clock=clock, create=True)))


@pytest.mark.parametrize(("suite", "check"), every(SUITE))
async def test_postgresql_whose_answers_are_lost(
    suite: str, check: Check, postgres: PostgresServer, tmp_path: Path
) -> None:
    with tempfile.TemporaryDirectory(prefix="argosy-cut-", dir="/tmp") as folder:
        proxy = CuttingProxy(Path(folder), postgres.socket_folder)
        try:
            url = proxy.url(postgres.url())
            await check(Opened(LostAnswers(proxy), lambda clock: open_store(tmp_path, url, clock=clock)))
        finally:
            proxy.close()


@pytest.mark.parametrize(("suite", "check"), every({"failing": failing.LEASE_CHECKS}))
async def test_leases_in_a_redis_that_loses_connections(
    suite: str, check: Check, redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = CallFaults(lambda: redis_connection.driver().exceptions.ConnectionError("lost"))
    run = redis_connection.RedisConnection.run

    def failing_run(self: Any, work: Callable[[Any], Any]) -> Any:
        def answered(client: Any) -> Any:
            result = work(client)
            faults.step()  # Redis has done it, and the answer is lost
            return result

        return run(self, answered)

    monkeypatch.setattr(redis_connection.RedisConnection, "run", failing_run)
    address = Address(leases=redis.url(), bell=redis.url())
    await check(Opened(faults, lambda clock: open_store(tmp_path, address, clock=clock)))
