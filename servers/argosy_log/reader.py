"""What the log server asks of whatever finds events: files read from their ends today, an index where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from argosy_log.events import LogEvent, Scope
from argosy_log.query import Query


@dataclass(frozen=True, slots=True)
class Found:
    """Events in the order asked for. *notes* say what could not be read or was left out, for the caller to know."""

    events: tuple[LogEvent, ...]
    cursor: str | None = None
    notes: tuple[str, ...] = ()


class EventReader(Protocol):
    """Finds events. Positions are opaque cursors, so that an index may keep its own."""

    async def newest(self, query: Query, limit: int, cursor: str | None) -> Found:
        """Up to *limit* events that *query* wants, newest first, after those that led to *cursor*.

        Raises InvalidArgument for a cursor that is not one of ours.
        """
        ...

    async def run_tree(self, scope: Scope, run: str) -> Found:
        """Every event of *run* and of the runs below it, oldest first; none when the run is not known."""
        ...

    async def count(self, streams: Sequence[str], day: date) -> int:
        """How many lines *streams* have on *day*."""
        ...
