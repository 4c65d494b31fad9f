"""Merging the segments of a full-text table, a step at a time.

Each transaction leaves a segment, and a query looks into all of them: with one segment in place of twenty it takes two
thirds of the time. FTS5 merges a little with each write, but never down to one.
"""

from __future__ import annotations

import sqlite3

from argosy_core.index.database import Database
from argosy_core.index.statements import statement

STEP_PAGES = 64
MOST_STEPS = 20_000
"""Ends a merge that others keep feeding; about two million documents."""


def tidy(database: Database, agent: str, segments: int) -> bool:
    """Merge *agent*'s segments into one when they are more than *segments*; says whether they were.

    A step is a transaction of its own, a few milliseconds, so that writers of this and other processes get between.
    """
    number = database.read(lambda connection: _crowded(connection, agent, segments))
    if number is None:
        return False
    pages = -STEP_PAGES
    for _ in range(MOST_STEPS):
        if not database.write(lambda connection, pages=pages: _has_merged(connection, agent, pages)):
            break
        pages = STEP_PAGES
    return True


def _number(connection: sqlite3.Connection, agent: str) -> int | None:
    row = connection.execute(statement("agent"), {"agent": agent}).fetchone()
    return int(row["number"]) if row else None


def _crowded(connection: sqlite3.Connection, agent: str, segments: int) -> int | None:
    number = _number(connection, agent)
    if number is None:
        return None
    count = int(connection.execute(statement("segments", number)).fetchone()[0])
    return number if count > segments else None


def _has_merged(connection: sqlite3.Connection, agent: str, pages: int) -> bool:
    """One step; the number is looked up again, since the file may be another by now. FTS5 says by the count of
    changed rows whether anything was left to do: below two, nothing was."""
    number = _number(connection, agent)
    if number is None:
        return False
    before = connection.total_changes
    connection.execute(statement("merge", number), {"pages": pages})
    return connection.total_changes - before >= 2
