"""The bell over a database: rings of this process at once, other processes' writes by what they say changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from argosy_core.storage.listening_bell import ANYTHING, ListeningBell
from argosy_core.storage.sqlite.database import Database, Transaction

LOOK_SECONDS = 0.1
AT_ONCE = 1000  # transactions told of together


class SqliteBell(ListeningBell):
    """`Bell` over *database*."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    def _watch_on(self) -> None:
        with closing(self._database.connect()) as connection:
            version, last = _version(connection), _last(connection)
            self._arm()
            while not self._stop.wait(LOOK_SECONDS):
                now = _version(connection)  # says whether anybody wrote, and costs no lock
                if now != version:
                    version = now
                    last = self._tell_after(connection, last)

    def _tell_after(self, connection: sqlite3.Connection, last: int) -> int:
        """Tell what changed after the number *last*; the number to go on from."""
        rows = Transaction(connection).run("changes_after", number=last, count=AT_ONCE).fetchall()
        if not rows:
            return last
        is_whole = rows[0]["number"] == last + 1 and len(rows) < AT_ONCE
        if not is_whole:
            self._tell(ANYTHING)
            return _last(connection)
        self._tell(frozenset(path for row in rows for path in row["paths"].split("\n")))
        return int(rows[-1]["number"])


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _last(connection: sqlite3.Connection) -> int:
    row = Transaction(connection).first("last_change")
    return int(row["number"]) if row is not None else 0
