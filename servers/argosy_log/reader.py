"""What the log server asks of whatever finds events: the index, or files read from their ends while it is not whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from argosy_log.events import LogEvent, Scope
from argosy_log.query import Query

MAX_PAGE_BYTES = 1024 * 1024
MAX_COUNTED_BYTES = 32 * 1024  # of one line: the rest of it is cut from the answer anyhow
MAX_RUNS = 500
MAX_RUN_EVENTS = 20_000
MAX_RUN_BYTES = 16 * 1024 * 1024
MAX_NOTES = 5


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


def few(notes: Sequence[str]) -> tuple[str, ...]:
    """The first of *notes*, and that there are more."""
    more = ("there are more such lines: log_doctor names them",) if len(notes) > MAX_NOTES else ()
    return (*notes[:MAX_NOTES], *more)


def within(name: str, first: str | None, last: str | None) -> bool:
    """Whether a day's (or month's) name lies in a range; None leaves it open."""
    return (first is None or name >= first) and (last is None or name <= last)
