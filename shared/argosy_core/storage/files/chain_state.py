"""What an appender must know of a stream: where its files end, each writer's head, and the keys used.

All of it can be read from the files. It is kept in ``.argosy/chain.sqlite`` so that opening a long log costs no scan;
what was appended since is caught up by reading on from the remembered position.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from argosy_core.errors import Unavailable

T = TypeVar("T")
SCHEMA_VERSION = 2
TAIL_BYTES = 128  # of what was read last: enough of an entry's hash and salt to know it by
_TABLES = ("position", "head", "used_key")
_SCHEMA = """
CREATE TABLE position (
    stream TEXT PRIMARY KEY, file TEXT NOT NULL, offset INTEGER NOT NULL, tail BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE head (
    stream TEXT NOT NULL, writer TEXT NOT NULL, seq INTEGER NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (stream, writer)
) WITHOUT ROWID;
CREATE TABLE used_key (
    stream TEXT NOT NULL, writer TEXT NOT NULL, key TEXT NOT NULL, line TEXT NOT NULL, PRIMARY KEY (stream, writer, key)
) WITHOUT ROWID;
"""


class CacheLost(Unavailable):
    """Raised when what the cache knew is gone; a state that was loaded from it must be loaded again."""


@dataclass(slots=True)
class StreamState:
    """One stream as far as it was read: *offset* bytes of *file*, the last one; *tail* are the last bytes before.

    *epoch* is the cache's when this was loaded: in another one, keys that are not in *fresh_keys* may be forgotten.
    """

    epoch: int
    file: str = ""
    offset: int = 0
    tail: bytes = b""
    heads: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    # (writer, key) → its line; only those not yet kept in the database
    fresh_keys: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    unsaved: int = 0
    # Whether the files were read from their beginning: what the database has of the stream is to be replaced.
    anew: bool = False

    def read_to(self, file: str, offset: int, data: bytes) -> None:
        """Note that *file* was read, or written, up to *offset*, and that *data* were its last bytes."""
        self.tail = ((self.tail if file == self.file else b"") + data[-TAIL_BYTES:])[-TAIL_BYTES:]
        self.file, self.offset = file, offset


class ChainCache:
    """The kept part, over one connection that any thread may use.

    Losing it costs a scan, so any damage empties it. When its file is deleted the open connection still has all it
    knew: only the next start begins anew.
    """

    def __init__(self, database: Path) -> None:
        self.epoch = 0
        self._database = database
        self._db: sqlite3.Connection | None = None
        self._guard = threading.Lock()

    def load(self, stream: str) -> StreamState:
        """The kept state of *stream*; a fresh one when nothing usable is kept."""

        def read(db: sqlite3.Connection) -> StreamState:
            query = "SELECT file, offset, tail FROM position WHERE stream = ?"
            row = db.execute(query, (stream,)).fetchone()
            if row is None:
                return StreamState(self.epoch, anew=True)
            file, offset, tail = row
            rows = db.execute("SELECT writer, seq, hash FROM head WHERE stream = ?", (stream,)).fetchall()
            return StreamState(self.epoch, file, offset, tail, {writer: (seq, entry) for writer, seq, entry in rows})

        try:
            return self._with_database(read)
        except CacheLost:
            return StreamState(self.epoch, anew=True)

    def save(self, stream: str, state: StreamState) -> None:
        """Keep *state*. When that fails nothing is lost: it stays in *state* and is tried again with the next."""

        def write(db: sqlite3.Connection) -> None:
            if state.anew:
                for table in _TABLES:
                    db.execute(f"DELETE FROM {table} WHERE stream = ?", (stream,))  # noqa: S608 - names are above
            position = (stream, state.file, state.offset, state.tail)
            db.execute("INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?)", position)
            heads = [(stream, writer, seq, entry) for writer, (seq, entry) in state.heads.items()]
            db.executemany("INSERT OR REPLACE INTO head VALUES (?, ?, ?, ?)", heads)
            keys = [(stream, writer, key, line) for (writer, key), line in state.fresh_keys.items()]
            db.executemany("INSERT OR IGNORE INTO used_key VALUES (?, ?, ?, ?)", keys)

        state.unsaved = 0
        if state.epoch != self.epoch:
            return
        with suppress(CacheLost):
            self._with_database(write, keep_on_failure=True)
            state.fresh_keys.clear()
            state.anew = False

    def line_of_key(self, stream: str, writer: str, key: str) -> str | None:
        """The line that was appended under *key*, as far as kept. Raises CacheLost."""

        def read(db: sqlite3.Connection) -> str | None:
            query = "SELECT line FROM used_key WHERE stream = ? AND writer = ? AND key = ?"
            row = db.execute(query, (stream, writer, key)).fetchone()
            return row[0] if row else None

        return self._with_database(read)

    def forget_key(self, stream: str, writer: str, key: str) -> None:
        """Leave nothing of the line that was appended under *key*, in the database or in its log."""

        def remove(db: sqlite3.Connection) -> None:
            db.execute("PRAGMA secure_delete=ON")
            db.execute("DELETE FROM used_key WHERE stream = ? AND writer = ? AND key = ?", (stream, writer, key))

        with suppress(CacheLost):
            self._with_database(remove)
            self._with_database(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())

    def close(self) -> None:
        """Close the connection; the next use opens another one. Idempotent."""
        with self._guard:
            self._drop()

    def _with_database(self, work: Callable[[sqlite3.Connection], T], *, keep_on_failure: bool = False) -> T:
        with self._guard:
            try:
                if self._db is None:
                    self._db = self._open()
                with self._db as db:
                    return work(db)
            except sqlite3.Error as exc:
                damaged = not isinstance(exc, sqlite3.OperationalError)
                if damaged or not keep_on_failure:
                    self._drop()
                if damaged:
                    self._remove()
                raise CacheLost("the log's index was lost", hint="try again: it is made anew") from exc

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect(str(self._database))
        except (sqlite3.Error, OSError):
            self._remove()
        try:
            return self._connect(str(self._database))
        except (sqlite3.Error, OSError):
            return self._connect(":memory:")  # nothing can be kept there; this process remembers for itself

    def _connect(self, where: str) -> sqlite3.Connection:
        db = sqlite3.connect(where, timeout=5.0, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            # A power cut may undo the last commits but never mix old and new pages.
            db.execute("PRAGMA synchronous=NORMAL")
            if _version(db) != SCHEMA_VERSION:
                self._create(db)
        except BaseException:
            db.close()
            raise
        return db

    def _create(self, db: sqlite3.Connection) -> None:
        db.execute("BEGIN IMMEDIATE")
        if _version(db) != SCHEMA_VERSION:  # else another process was first
            for table in _TABLES:
                db.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        db.commit()

    def _drop(self) -> None:
        self.epoch += 1
        db, self._db = self._db, None
        if db is not None:
            with suppress(sqlite3.Error):
                db.close()

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                Path(f"{self._database}{suffix}").unlink()


def _version(db: sqlite3.Connection) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version
