"""Connections to the index, transactions on them, and what becomes of SQLite's errors."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from argosy_core.errors import ArgosyError, Corrupted, InvalidArgument, Unavailable
from argosy_core.index.index_file import LOCK_SECONDS, SEARCH, Identity, IndexFile, IndexKind

if TYPE_CHECKING:
    from argosy_core.clock import Clock

T = TypeVar("T")

ATTEMPTS = 4
IDLE_CONNECTIONS = 4
CACHE_KIB = 16_000
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class _Replaced(Exception):
    """Raised when the file under a connection is no longer the one at the path, or was just set aside."""


@dataclass(slots=True)
class _Lease:
    connection: sqlite3.Connection
    identity: Identity
    generation: str


class Database:
    """A pool of connections to one index file, for any number of threads.

    `read` and `write` run a function in one transaction. It may run again from the start, on a new and empty file,
    when the old one turns out to be damaged, foreign or gone; so it must have no effect but on its connection.
    Raises Unavailable when the file cannot be had in `LOCK_SECONDS`, Corrupted when making it anew does not help.
    """

    def __init__(self, path: Path, clock: Clock, kind: IndexKind = SEARCH) -> None:
        self._kind = kind
        self._file = IndexFile(path, clock, kind)
        self._idle: list[_Lease] = []
        self._guard = threading.Lock()
        self._writer = threading.Lock()
        self._closed = False

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return self._run("BEGIN", work)

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """As `read`, one at a time: threads of one process queue here, where waiting is fair and costs nothing."""
        if not self._writer.acquire(timeout=LOCK_SECONDS):
            raise Unavailable(f"{self._kind.what} is busy with other writes of this process")
        try:
            return self._run("BEGIN IMMEDIATE", work)
        finally:
            self._writer.release()

    def generation(self) -> str:
        """Names the file's life: another value means another file, which began empty."""
        lease = self._retried(self._borrow)
        self._give_back(lease)
        return lease.generation

    def forget_removed(self) -> None:
        """Leave nothing in the write-ahead log of what was removed, as far as readers let it be emptied."""
        lease = self._retried(self._borrow)
        try:
            with suppress(sqlite3.Error):
                lease.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            self._give_back(lease)

    def close(self) -> None:
        """Close what is idle now and the rest when it comes back. A closed database stays closed."""
        with self._guard:
            self._closed = True
            idle, self._idle = self._idle, []
        for lease in idle:
            lease.connection.close()

    def _run(self, begin: str, work: Callable[[sqlite3.Connection], T]) -> T:
        return self._retried(lambda: self._once(begin, work))

    def _retried(self, attempt: Callable[[], T]) -> T:
        for _ in range(ATTEMPTS):
            with suppress(_Replaced):
                return attempt()
        raise Corrupted(f"{self._kind.what} cannot be kept whole", hint="look at the disk under .argosy")

    def _once(self, begin: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """One transaction. A write that went to a file replaced meanwhile counts as not made."""
        lease = self._borrow()
        try:
            result = _in_transaction(lease.connection, begin, work)
        except sqlite3.DatabaseError as failure:
            lease.connection.close()
            raise self._judged(failure, lease.identity) from failure
        except UnicodeEncodeError as failure:
            self._give_back(lease)
            raise InvalidArgument("an argument holds what UTF-8 cannot (a lone surrogate)") from failure
        except BaseException:
            self._give_back(lease)
            raise
        self._give_back(lease)
        if begin != "BEGIN" and self._file.identity() != lease.identity:
            raise _Replaced
        return result

    def _borrow(self) -> _Lease:
        try:
            current = self._file.ensure()
            return self._pooled(current) or self._open(current)
        except OSError as failure:
            raise Unavailable(f"{self._kind.what} cannot be opened: {failure.strerror}") from failure

    def _pooled(self, current: Identity) -> _Lease | None:
        with self._guard:
            if self._closed:
                raise Unavailable(f"{self._kind.what} is closed")
            while self._idle:
                lease = self._idle.pop()
                if lease.identity == current:
                    return lease
                lease.connection.close()
        return None

    def _give_back(self, lease: _Lease) -> None:
        with self._guard:
            if not self._closed and len(self._idle) < IDLE_CONNECTIONS:
                self._idle.append(lease)
                return
        lease.connection.close()

    def _open(self, current: Identity) -> _Lease:
        """A connection to the file that was *current*, which must still be at the path when it is open."""
        connection: sqlite3.Connection | None = None
        try:
            connection = self._connect()
            generation = self._checked(connection, current)
        except BaseException as failure:
            if connection:
                connection.close()
            if isinstance(failure, sqlite3.DatabaseError):
                raise self._judged(failure, current) from failure
            raise
        return _Lease(connection, current, generation)

    def _connect(self) -> sqlite3.Connection:
        """`mode=rw` never makes a file: only a whole one is put in place. NORMAL keeps the file sound through a power
        cut (a torn index gives wrong answers and no error) and differs from OFF only at checkpoints."""
        connection = sqlite3.connect(
            f"{self._file.path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=LOCK_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        connection.row_factory = sqlite3.Row
        return connection

    def _checked(self, connection: sqlite3.Connection, current: Identity) -> str:
        for pragma in ("synchronous = NORMAL", f"cache_size = -{CACHE_KIB}"):
            connection.execute(f"PRAGMA {pragma}")
        application, version = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("application_id", "user_version")
        )
        if application == self._kind.application_id and version > self._kind.version:
            raise Unavailable(
                f"{self._kind.what} was made by a newer Argosy",
                hint=f"update this one, or delete .argosy/{self._file.path.name}",
            )
        if application != self._kind.application_id or version < self._kind.version:
            self._set_aside(current, keep=application != self._kind.application_id)
            raise _Replaced
        generation = str(connection.execute(self._kind.generation()).fetchone()[0])
        if self._file.identity() != current:
            raise _Replaced
        return generation

    def _set_aside(self, identity: Identity, *, keep: bool) -> None:
        try:
            self._file.discard(identity, keep=keep)
        except OSError as failure:
            raise Unavailable(f"{self._kind.what} cannot be made anew: {failure.strerror}") from failure

    def _judged(self, failure: sqlite3.DatabaseError, identity: Identity) -> Exception:
        """What to raise for *failure*: the file's fault is mended by another file, a lock or a full disk by time."""
        if isinstance(failure, sqlite3.ProgrammingError):
            return failure
        code = getattr(failure, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in _DAMAGE or (code == sqlite3.SQLITE_ERROR and "no such table" in str(failure)):
            self._set_aside(identity, keep=True)
            return _Replaced()
        if self._file.identity() != identity:
            return _Replaced()
        return _as_argosy(self._kind.what, failure, code)


def _in_transaction(connection: sqlite3.Connection, begin: str, work: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute(begin)
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    return result


def _as_argosy(what: str, failure: sqlite3.DatabaseError, code: int) -> ArgosyError:
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return Unavailable(f"{what} is busy with writes of other processes")
    return Unavailable(f"{what} does not answer: {failure}", hint="is the disk of .argosy full or read-only?")
