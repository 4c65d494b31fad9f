"""Merging the segments of a full-text table, a step at a time.

Each transaction leaves a segment, and a query looks for each of its words in all of them. FTS5 merges a little with
each write and stays at ten to twenty; with two or three a search takes two thirds of the time.
"""

from __future__ import annotations

import sqlite3

from argosy_core.index.database import Database
from argosy_core.index.statements import statement

STEP_PAGES = 64
MOST_STEPS = 20_000
"""Ends a merge that others keep feeding; enough for two million documents."""


def tidy(database: Database, agent: str, *, whole: bool) -> None:
    """Merge *agent*'s segments: the small ones with each other, or with *whole* all into one.

    A step is a transaction of its own, some milliseconds, so that writers of this and other processes get between.
    """
    if whole:
        database.write(lambda connection: _has_merged(connection, agent, -STEP_PAGES))
    for _ in range(MOST_STEPS):
        if not database.write(lambda connection: _has_merged(connection, agent, STEP_PAGES)):
            return


def _has_merged(connection: sqlite3.Connection, agent: str, pages: int) -> bool:
    """One step. FTS5 says by the count of changed rows whether it found anything to do: below two, it did not."""
    row = connection.execute(statement("agent"), {"agent": agent}).fetchone()
    if row is None:
        return False
    before = connection.total_changes
    connection.execute(statement("merge", row["number"]), {"pages": pages})
    return connection.total_changes - before >= 2
