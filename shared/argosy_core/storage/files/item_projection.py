"""The queues' projection: one SQLite file that is rebuilt from the files whenever it is missing, damaged or foreign."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from argosy_core.errors import Unavailable
from argosy_core.named_sql import sql_text
from argosy_core.vault import STATE_FOLDER, Vault

T = TypeVar("T")
FILE = "items.sqlite"
APPLICATION_ID = 0x41524751
SCHEMA_VERSION = 1
BUSY_SECONDS = 30.0
ATTEMPTS = 4
_OPTIONS: dict[str, Any] = {
    "timeout": BUSY_SECONDS,
    "isolation_level": None,
    "check_same_thread": False,
    "cached_statements": 64,
}
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_SCHEMA}


class Projection:
    """A connection to the file, for one thread at a time. A closed projection opens again with the next call."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._guard = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._path = vault.root / STATE_FOLDER / FILE

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """*work* in one writing transaction; it may run again on an empty file, and must touch nothing else."""
        return self._retried(lambda: self._once("BEGIN IMMEDIATE", work))

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """As `run`, for reading."""
        return self._retried(lambda: self._once("BEGIN", work))

    def close(self) -> None:
        """Let go of the file."""
        with self._guard:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _retried(self, attempt: Callable[[], T]) -> T:
        for _ in range(ATTEMPTS):
            try:
                with self._guard:
                    return attempt()
            except sqlite3.DatabaseError as failure:
                self._judge(failure)
        raise Unavailable("the index of the queues cannot be kept whole", hint="look at the disk under .argosy")

    def _once(self, begin: str, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._current()
        with _transaction(connection, begin):
            return work(connection)

    def _judge(self, failure: sqlite3.DatabaseError) -> None:
        """Raises unless another try on another file can help."""
        code = getattr(failure, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise Unavailable("the index of the queues is busy with other processes") from failure
        if isinstance(failure, sqlite3.ProgrammingError):
            raise failure
        if self._on_disk() != self._identity:
            self.close()  # deleted or replaced under us
            return
        if code in _DAMAGE or "no such table" in str(failure):
            self._discard()
            return
        raise Unavailable(f"the index of the queues does not answer: {failure}") from failure

    def _current(self) -> sqlite3.Connection:
        if self._connection is None or self._on_disk() != self._identity:
            self.close()
            self._connection = self._open()
            self._identity = self._on_disk()
        return self._connection

    def _on_disk(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _open(self) -> sqlite3.Connection:
        with self._vault.lock(f"{STATE_FOLDER}/{FILE}", BUSY_SECONDS):
            self._vault.state_path(FILE)
            return self._open_ours() or self._open_new()

    def _open_ours(self) -> sqlite3.Connection | None:
        """A connection to the file that is there; None when it is not one of ours, of this version, and sound."""
        if not self._path.exists():
            return None
        connection = sqlite3.connect(self._path, **_OPTIONS)
        try:
            if _is_ours(connection):
                return _prepared(connection)
        except sqlite3.DatabaseError as failure:
            if failure.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
        connection.close()
        return None

    def _open_new(self) -> sqlite3.Connection:
        self._unlink()
        return _with_schema(_prepared(sqlite3.connect(self._path, **_OPTIONS)))

    def _discard(self) -> None:
        with self._guard, self._vault.lock(f"{STATE_FOLDER}/{FILE}", BUSY_SECONDS):
            self.close()
            if self._on_disk() == self._identity:
                self._unlink()

    def _unlink(self) -> None:
        # The companions too: a log that outlived its database would be taken for the new one's.
        for ending in ("", "-wal", "-shm", "-journal"):
            with suppress(FileNotFoundError):
                os.unlink(f"{self._path}{ending}")


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Generator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.row_factory = sqlite3.Row
    # NORMAL: sound after a power cut, perhaps older than the files, which their folders' seals then show.
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _is_ours(connection: sqlite3.Connection) -> bool:
    found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    return found == [APPLICATION_ID, SCHEMA_VERSION]


def _with_schema(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.execute("PRAGMA journal_mode = WAL")
    schema = sql_text("argosy_core.storage.files", "item_schema.sql")
    connection.executescript(f"BEGIN;{schema}COMMIT;")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    return connection
