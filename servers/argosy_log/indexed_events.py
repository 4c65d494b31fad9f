"""The reader over the event index, with the day files behind it while the index is not whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import TypeVar

from argosy_core.errors import Corrupted, Unavailable
from argosy_log.event_index import EventIndex
from argosy_log.event_pages import is_own_cursor, lines_of_day, newest_page, run_family
from argosy_log.event_sql import statement
from argosy_log.events import Scope
from argosy_log.query import Query
from argosy_log.reader import EventReader, Found

T = TypeVar("T")
BUILDING = "the index of the log is being built: this was read from the day files, without it"
PARTIAL = "the index of the log is being built: what is not in it yet is left out; ask again in a moment"


async def partial_note(index: EventIndex) -> str:
    """`PARTIAL`, and how far the index has come."""
    lines = await index.ask(lambda db: int(db.execute(statement("count_lines")).fetchone()[0]))
    return f"{PARTIAL} ({lines} lines so far)"


class IndexedEvents:
    """`EventReader` over *index*; *behind* answers while the index is being built, or cannot be had."""

    def __init__(self, index: EventIndex, behind: EventReader) -> None:
        self._index = index
        self._behind = behind

    async def newest(self, query: Query, limit: int, cursor: str | None) -> Found:
        streams = query.scope.streams
        if cursor is not None and not is_own_cursor(cursor):
            return await self._behind.newest(query, limit, cursor)
        found, is_complete = await self._ask(streams, lambda db: newest_page(db, query, limit, cursor))
        if found is None or (not is_complete and cursor is None):
            return _noted(await self._behind.newest(query, limit, None), BUILDING)
        return found if is_complete else _noted(found, await partial_note(self._index))

    async def run_tree(self, scope: Scope, run: str) -> Found:
        found, is_complete = await self._ask(scope.streams, lambda db: run_family(db, scope, run))
        if found is not None and is_complete:
            return found
        return _noted(await self._behind.run_tree(scope, run), BUILDING)

    async def count(self, streams: Sequence[str], day: date) -> int:
        found, is_complete = await self._ask(streams, lambda db: lines_of_day(db, streams, day))
        return found if found is not None and is_complete else await self._behind.count(streams, day)

    async def _ask(self, streams: Sequence[str], work: Callable[[sqlite3.Connection], T]) -> tuple[T | None, bool]:
        try:
            return await self._index.ask_fresh(streams, work)
        except (Corrupted, Unavailable):  # a vault that cannot be written to, a disk that is full
            return None, False


def _noted(found: Found, note: str) -> Found:
    return replace(found, notes=(note, *found.notes))
