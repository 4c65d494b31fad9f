"""Talking to PostgreSQL: a pool of connections on a loop of its own, bounded waits, and tries again where that is safe.

Work is a coroutine function of a session and a flag: True says that an earlier try was cut off and may have happened
all the same, so the work must look for its own traces first. Work that was never sent, or surely rolled back, runs
again without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from argosy_core.errors import ArgosyError, InvalidArgument
from argosy_core.storage.background import Background
from argosy_core.storage.postgres.address import Address
from argosy_core.storage.postgres.troubles import Lost, NotReached, driver, judge
from argosy_core.storage.sql_files import numbered_statements

T = TypeVar("T")
PACKAGE = "argosy_core.storage.postgres"
CONNECTIONS = 8
CONNECT_SECONDS = 10.0
ACQUIRE_SECONDS = 15.0
COMMAND_SECONDS = 60.0
WAIT_SECONDS = 180.0  # all tries together, for callers that block
CLOSE_SECONDS = 5.0
PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, *(1.6,) * 8)  # seconds between tries
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Row = Any
"""Fields of a row, by name."""


class Connection(Protocol):
    """What is used of an ``asyncpg.Connection``."""

    async def fetch(self, query: str, *arguments: Any) -> list[Row]: ...
    async def execute(self, query: str, *arguments: Any) -> str: ...
    def transaction(self) -> AbstractAsyncContextManager[object]: ...


class Session:
    """One connection, and the named statements of one primitive."""

    def __init__(self, connection: Connection, file: str) -> None:
        self._connection = connection
        self._statements = numbered_statements(PACKAGE, file)

    def of(self, file: str) -> Session:
        """The same connection with the statements of *file*."""
        return Session(self._connection, file)

    async def rows(self, name: str, /, **values: Any) -> list[Row]:
        """The rows that statement *name* gives."""
        statement = self._statements[name]
        return await self._connection.fetch(statement.text, *statement.places(values))

    async def row(self, name: str, /, **values: Any) -> Row | None:
        """The first row that statement *name* gives."""
        return next(iter(await self.rows(name, **values)), None)

    async def script(self, text: str) -> None:
        """Run several statements at once."""
        await self._connection.execute(text)

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """All or nothing of what the block does, in READ COMMITTED."""
        return self._connection.transaction()


Work = Callable[[Session, bool], Awaitable[T]]


class Database:
    """The pool; *file* of each call names the SQL file whose statements its session has."""

    def __init__(self, address: Address, background: Background) -> None:
        self.address = address
        self.background = background
        self._pool: Any = None

    async def run(self, file: str, work: Work[T]) -> T:
        """What *work* comes to, on the loop. Raises Unavailable, DeadlineExceeded, and what *work* raises."""
        may_have_happened = False
        for pause in (*PAUSES, None):
            try:
                async with self._connected() as connection:
                    return await work(Session(connection, file), may_have_happened)
            except ArgosyError:
                raise
            except Exception as failure:
                trouble = judge(failure)
                if trouble is None:
                    raise
                if pause is None or not trouble.may_pass:
                    raise trouble.error from failure
                may_have_happened |= trouble.is_open
                await asyncio.sleep(pause)
        raise AssertionError  # the last try returned or raised

    async def call(self, file: str, work: Work[T]) -> T:
        """As `run`, for a caller on any event loop."""
        return await self.background.call(lambda: self.run(file, work))

    def wait(self, file: str, work: Work[T]) -> T:
        """As `run`, for a caller in any thread that may block."""
        return self.background.wait(lambda: self.run(file, work), WAIT_SECONDS)

    async def connect(self) -> Any:
        """A connection outside the pool, for whoever listens on it. Raises NotReached."""
        try:
            return await driver().connect(self.address.dsn, timeout=CONNECT_SECONDS, **self._options())
        except Exception as failure:
            raise NotReached from failure

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[Connection]:
        pool = await self._the_pool()
        try:
            connection = await pool.acquire(timeout=ACQUIRE_SECONDS)
        except Exception as failure:
            raise NotReached from failure
        try:
            yield connection
        except ArgosyError:
            raise
        except Exception as failure:
            if getattr(failure, "sqlstate", None) is None and _is_lost(connection):
                raise Lost from failure
            raise
        finally:
            await pool.release(connection, timeout=ACQUIRE_SECONDS)

    async def _the_pool(self) -> Any:
        if self._pool is None:
            try:
                pool = driver().create_pool(
                    self.address.dsn,
                    min_size=0,
                    max_size=CONNECTIONS,
                    timeout=CONNECT_SECONDS,
                    reset=_keep_as_it_is,
                    **self._options(),
                )
            except (ValueError, driver().InterfaceError):
                raise InvalidArgument("the URL of the database has an option that cannot be") from None
            self._pool = pool
            await pool  # with no connection yet this reaches nobody
        return self._pool

    def _options(self) -> dict[str, Any]:
        settings = {"search_path": f'"{self.address.schema}"', "application_name": "argosy", "jit": "off"}
        return {"command_timeout": COMMAND_SECONDS, "server_settings": settings}

    async def close(self) -> None:
        """Close all connections, on the loop."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await pool.close()
        except (TimeoutError, Exception):
            with suppress(Exception):
                pool.terminate()


def time_ns(moment: datetime) -> int:
    """*moment* in nanoseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _is_lost(connection: Any) -> bool:
    try:
        return bool(connection.is_closed())
    except driver().InterfaceError:
        return True  # the pool took it back when it ended


async def _keep_as_it_is(connection: Connection) -> None:
    """Instead of the driver's reset, a round trip with each return: no call here changes a session's settings."""
