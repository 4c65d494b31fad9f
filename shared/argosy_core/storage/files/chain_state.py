"""What an appender must know of a stream: where its files end, each writer's head, and the keys used.

All of it can be read from the files. It is kept in ``.argosy/chain.sqlite`` so that opening a long log costs no scan;
what was appended since is caught up by reading on from the remembered position.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS position (stream TEXT PRIMARY KEY, file TEXT NOT NULL, offset INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS head (
    stream TEXT NOT NULL, writer TEXT NOT NULL, seq INTEGER NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (stream, writer)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS used_key (
    stream TEXT NOT NULL, writer TEXT NOT NULL, key TEXT NOT NULL, line TEXT NOT NULL, PRIMARY KEY (stream, writer, key)
) WITHOUT ROWID;
"""


@dataclass(slots=True)
class StreamState:
    """One stream as far as it was read: *offset* bytes of *file*, the last one."""

    file: str = ""
    offset: int = 0
    heads: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    # (writer, key) → its line; only those not yet kept in the database
    fresh_keys: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    unsaved: int = 0


class ChainCache:
    """The kept part. Losing it costs a scan, so nothing here is synced and any damage empties it."""

    def __init__(self, database: Path) -> None:
        self._database = database

    def load(self, stream: str) -> StreamState:
        """The kept state of *stream*; a fresh one when nothing usable is kept."""
        try:
            with closing(self._connect()) as db:
                row = db.execute("SELECT file, offset FROM position WHERE stream = ?", (stream,)).fetchone()
                if row is None:
                    return StreamState()
                heads = db.execute("SELECT writer, seq, hash FROM head WHERE stream = ?", (stream,)).fetchall()
                return StreamState(row[0], row[1], {writer: (seq, entry) for writer, seq, entry in heads})
        except sqlite3.Error:
            self._reset()
            return StreamState()

    def save(self, stream: str, state: StreamState) -> None:
        """Keep *state*; failing to is no loss."""
        try:
            with closing(self._connect()) as db, db:
                db.execute("INSERT OR REPLACE INTO position VALUES (?, ?, ?)", (stream, state.file, state.offset))
                db.executemany(
                    "INSERT OR REPLACE INTO head VALUES (?, ?, ?, ?)",
                    [(stream, writer, seq, entry) for writer, (seq, entry) in state.heads.items()],
                )
                db.executemany(
                    "INSERT OR IGNORE INTO used_key VALUES (?, ?, ?, ?)",
                    [(stream, writer, key, line) for (writer, key), line in state.fresh_keys.items()],
                )
        except sqlite3.Error:
            self._reset()
            return
        state.fresh_keys.clear()
        state.unsaved = 0

    def forget(self, stream: str) -> None:
        """Drop what is kept of *stream*: its files are not what was read."""
        try:
            with closing(self._connect()) as db, db:
                for table in ("position", "head", "used_key"):
                    db.execute(f"DELETE FROM {table} WHERE stream = ?", (stream,))  # noqa: S608 - names are above
        except sqlite3.Error:
            self._reset()

    def line_of_key(self, stream: str, writer: str, key: str) -> str | None:
        """The line that was appended under *key*."""
        try:
            with closing(self._connect()) as db:
                query = "SELECT line FROM used_key WHERE stream = ? AND writer = ? AND key = ?"
                row = db.execute(query, (stream, writer, key)).fetchone()
                return row[0] if row else None
        except sqlite3.Error:
            return None

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._database, timeout=5.0)
        try:
            db.execute("PRAGMA synchronous=OFF")
            if db.execute("PRAGMA user_version").fetchone()[0] != SCHEMA_VERSION:
                db.execute("PRAGMA journal_mode=WAL")
                db.executescript(_SCHEMA)
                db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        except BaseException:
            db.close()
            raise
        return db

    def _reset(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self._database}{suffix}").unlink(missing_ok=True)
