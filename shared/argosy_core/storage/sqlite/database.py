"""Connections to the database and transactions on them: one writer, as many readers as there are threads."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from argosy_core.errors import Unavailable
from argosy_core.ids import Ids
from argosy_core.named_sql import named_statements
from argosy_core.storage.gathering import Gathering, Pending
from argosy_core.storage.sqlite.database_file import BUSY_SECONDS, PACKAGE, connect, prepare
from argosy_core.storage.sqlite.sqlite_errors import sqlite_errors, unencodable

T = TypeVar("T")
IDLE_READERS = 4
CHANGES_KEPT = 1024
TRIM_EVERY = 64
MAX_NAMED = 200  # paths of one transaction; beyond that anything may have changed
_STATEMENTS = named_statements(PACKAGE, "queries.sql")


class Transaction:
    """One transaction on *connection*; *changed* are the paths that others are to hear of."""

    __slots__ = ("changed", "connection")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.changed: list[str] = []

    def run(self, name: str, /, **values: Any) -> sqlite3.Cursor:
        """Execute a named statement of ``queries.sql``."""
        return self.connection.execute(_STATEMENTS[name], values)

    def run_all(self, name: str, rows: Sequence[dict[str, Any]]) -> None:
        """Execute a named statement for each of *rows*."""
        self.connection.executemany(_STATEMENTS[name], rows)

    def first(self, name: str, /, **values: Any) -> sqlite3.Row | None:
        """The first row that a named statement finds."""
        row: sqlite3.Row | None = self.run(name, **values).fetchone()
        return row


Work = Callable[[Transaction], T]
"""Something done in one transaction. It may be done again from the start, so it has no effect elsewhere."""


class _Job(Pending[Any]):
    """Work that waits for a transaction."""

    def __init__(self, work: Work[Any]) -> None:
        super().__init__()
        self.work = work


class Database:
    """The database at *path*, for any number of threads. Raises what `prepare` raises.

    `read` and `write` block. `submit` is for coroutines: what arrives together is written in one transaction, which is
    one sync, and each piece of it succeeds or fails by itself. A lock of another process that lasts longer than
    `BUSY_SECONDS` is Unavailable.
    """

    def __init__(self, path: Path, ids: Ids, *, create: bool) -> None:
        prepare(path, ids, create=create)
        self._path = path
        self._guard = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._is_closed = False
        self._writing = threading.Lock()
        with sqlite_errors():
            self._writer = connect(path)
        self._gathering = Gathering(self._perform)

    def read(self, work: Work[T]) -> T:
        """What *work* finds, all of it as of one moment."""
        with sqlite_errors():
            connection = self._borrow()
            try:
                return _in_transaction(connection, "BEGIN", work)
            finally:
                self._give_back(connection)

    def write(self, work: Work[T]) -> T:
        """What *work* makes, durably."""
        with self._held_writer() as connection, sqlite_errors():
            return _in_transaction(connection, "BEGIN IMMEDIATE", work)

    async def submit(self, work: Work[T]) -> T:
        """As `write`, together with what others submit meanwhile."""
        job = _Job(work)
        await self._gathering.submit("", job)
        result: T = job.result()
        return result

    def connect(self) -> sqlite3.Connection:
        """One more connection, for the caller to close."""
        with sqlite_errors():
            return connect(self._path)

    def close(self) -> None:
        """Close all connections; what still runs ends first. Idempotent."""
        with self._guard:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        # A writer that hangs keeps its connection, and loses it with the process.
        if self._writing.acquire(timeout=BUSY_SECONDS):
            self._writer.close()
            self._writing.release()

    # Writing together

    def _perform(self, lane: str, jobs: Sequence[_Job]) -> None:
        with self._held_writer() as connection:
            if len(jobs) == 1 or not self._perform_together(connection, jobs):
                for job in jobs:
                    _perform_alone(connection, job)

    def _perform_together(self, connection: sqlite3.Connection, jobs: Sequence[_Job]) -> bool:
        """Whether *jobs* could be done in one transaction; what the database itself refuses spoils all of it."""
        outcomes: list[tuple[_Job, Any, Exception | None]] = []
        with sqlite_errors():
            connection.execute("BEGIN IMMEDIATE")
        try:
            _in_transaction(connection, None, lambda all: outcomes.extend(_inside(all, job) for job in jobs))
        except sqlite3.Error:
            return False
        for job, result, error in outcomes:
            if error is None:
                job.finish(result)
            else:
                job.fail(error)
        return True

    @contextmanager
    def _held_writer(self) -> Generator[sqlite3.Connection]:
        if not self._writing.acquire(timeout=BUSY_SECONDS):
            raise Unavailable("the database is busy with other writes of this process", hint="try again in a moment")
        try:
            yield self._writer
        finally:
            self._writing.release()

    # Readers

    def _borrow(self) -> sqlite3.Connection:
        with self._guard:
            if self._is_closed:
                raise Unavailable("the store is closed", hint="open it again")
            if self._idle:
                return self._idle.pop()
        return connect(self._path)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._guard:
            if not self._is_closed and len(self._idle) < IDLE_READERS:
                self._idle.append(connection)
                return
        connection.close()


def _perform_alone(connection: sqlite3.Connection, job: _Job) -> None:
    try:
        with sqlite_errors():
            job.finish(_in_transaction(connection, "BEGIN IMMEDIATE", job.work))
    except Exception as error:  # it is the caller's, and only that one's
        job.fail(error)


def _inside(all: Transaction, job: _Job) -> tuple[_Job, Any, Exception | None]:
    """What *job* comes to as part of a larger transaction."""
    number = len(all.changed)
    all.connection.execute("SAVEPOINT job")
    try:
        result = job.work(all)
    except sqlite3.Error:
        raise
    except Exception as error:
        all.connection.execute("ROLLBACK TO job")
        all.connection.execute("RELEASE job")
        del all.changed[number:]
        return job, None, unencodable() if isinstance(error, UnicodeEncodeError) else error
    all.connection.execute("RELEASE job")
    return job, result, None


def _in_transaction(connection: sqlite3.Connection, begin: str | None, work: Work[T]) -> T:
    if begin is not None:
        connection.execute(begin)
    transaction = Transaction(connection)
    try:
        result = work(transaction)
        if transaction.changed:
            _tell(transaction)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # some errors have rolled it back already
            connection.execute("ROLLBACK")
        raise
    return result


def _tell(transaction: Transaction) -> None:
    paths = set(transaction.changed)
    told = "\n".join(paths) if len(paths) <= MAX_NAMED else ""
    number = transaction.run("new_change", paths=told).lastrowid or 0
    if number % TRIM_EVERY == 0:
        transaction.run("drop_changes", number=number - CHANGES_KEPT)
