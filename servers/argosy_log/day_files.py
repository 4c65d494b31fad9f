"""The reader over day files: ``<stream>/log/YYYY-MM/YYYY-MM-DD.jsonl``, newest day first, each from its end.

A page costs what it shows: its cursor holds the day and, for each stream, the byte where the next page reads on.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, cast

from argosy_core.errors import InvalidArgument
from argosy_core.serving.results import decode_cursor, encode_cursor
from argosy_core.storage.base import Documents
from argosy_log.events import LogEvent, Scope
from argosy_log.query import Query, day_of_run, is_own_run, needles_of
from argosy_log.reader import (
    MAX_COUNTED_BYTES,
    MAX_NOTES,
    MAX_PAGE_BYTES,
    MAX_RUN_BYTES,
    MAX_RUN_EVENTS,
    MAX_RUNS,
    Found,
    few,
    within,
)
from argosy_log.runs import all_over, family
from argosy_log.tail import FIRST_PIECE_BYTES, Tail, Wanted

_MONTH = re.compile(r"\d{4}-\d{2}")
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Day:
    """One day (ISO) and the size in bytes of its file in each stream that has one."""

    day: str
    sizes: Mapping[str, int]


class DayFiles:
    """`EventReader` over documents."""

    def __init__(self, documents: Documents, first_piece_bytes: int = FIRST_PIECE_BYTES) -> None:
        self._documents = documents
        self._first_piece_bytes = first_piece_bytes

    async def newest(self, query: Query, limit: int, cursor: str | None) -> Found:
        resume, positions = _position(cursor)
        last = min(filter(None, (resume, query.last_day)), default=None)
        page = _Page(limit, MAX_PAGE_BYTES)
        async with aclosing(self._days(query.scope.streams, query.first_day, last, newest_first=True)) as days:
            async for day in days:
                sizes = positions if day.day == resume else None
                tails = self._tails(day, Wanted(query.wants, query.needles), sizes)
                await _drain(tails, page)
                page.notes += await self._notes(tails)
                if page.is_full:
                    left = {tail.stream: tail.position for tail in tails if tail.position > 0}
                    more = bool(left) or await anext(days, None) is not None
                    return page.found(encode_cursor(day.day, left) if more else None)
        return page.found(None)

    async def run_tree(self, scope: Scope, run: str) -> Found:
        day = day_of_run(run)
        if day is not None:
            found = await self._follow(scope, run, day - _ONE_DAY, give_up_after=day + _ONE_DAY)
            if found.events or is_own_run(run):
                return found
        return await self._follow(scope, run, None, None)

    async def _follow(self, scope: Scope, run: str, first: date | None, give_up_after: date | None) -> Found:
        """The family of *run* from *first* on, until all of it was over and a day went by without it."""
        events: list[LogEvent] = []
        notes: list[str] = []
        runs = {run}
        stop_after = give_up_after.isoformat() if give_up_after else None
        async with aclosing(self._days(scope.streams, first.isoformat() if first else None, None)) as days:
            async for day in days:
                if stop_after is not None and day.day > stop_after:
                    break
                page = await self._family_of_day(scope, day, runs)
                events += page.events[::-1]
                notes += page.notes
                if page.is_full or len(events) >= MAX_RUN_EVENTS or len(runs) > MAX_RUNS:
                    notes.insert(0, f"the run is too large to show whole: from {day.day} on events are left out")
                    break
                if page.events:
                    stop_after = _following(day.day) if all_over(events) else None
        return Found(tuple(events[:MAX_RUN_EVENTS]), notes=few(notes))

    async def _family_of_day(self, scope: Scope, day: _Day, runs: set[str]) -> _Page:
        """One day's events, newest first, of *runs* and of those that turn out to be below them, which are added."""
        while True:
            wanted = Wanted(family(scope, frozenset(runs)), needles_of(sorted(runs)))
            tails = self._tails(day, wanted, None)
            page = _Page(MAX_RUN_EVENTS, MAX_RUN_BYTES)
            await _drain(tails, page)
            known = len(runs)
            runs |= {event.run for event in page.events if event.run is not None}
            if len(runs) == known or len(runs) > MAX_RUNS or page.is_full:
                page.notes += await self._notes(tails)
                return page

    async def count(self, streams: Sequence[str], day: date) -> int:
        lines = 0
        for stream in streams:
            data = await self._documents.read_from(_path(stream, day.isoformat()), 0)
            lines += data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
        return lines

    async def _days(
        self, streams: Sequence[str], first: str | None, last: str | None, *, newest_first: bool = False
    ) -> AsyncGenerator[_Day]:
        """The days that have files, a month's folder at a time."""
        months: dict[str, list[str]] = {}
        for stream in streams:
            for month in await self._documents.folders(f"{stream}/log"):
                if _MONTH.fullmatch(month) and within(month, first and first[:7], last and last[:7]):
                    months.setdefault(month, []).append(stream)
        for month in sorted(months, reverse=newest_first):
            days = await self._days_of(month, months[month])
            for day in sorted(days, reverse=newest_first):
                if within(day, first, last):
                    yield _Day(day, days[day])

    async def _days_of(self, month: str, streams: Sequence[str]) -> dict[str, dict[str, int]]:
        days: dict[str, dict[str, int]] = {}
        for stream in streams:
            for info in await self._documents.list(f"{stream}/log/{month}", ".jsonl"):
                if is_day_file(stream, info.path):
                    days.setdefault(info.path[-16:-6], {})[stream] = info.stamp[1]
        return days

    def _tails(self, day: _Day, wanted: Wanted, positions: Mapping[str, int] | None) -> list[Tail]:
        ends = day.sizes if positions is None else {
            stream: min(size, positions[stream]) for stream, size in day.sizes.items() if stream in positions
        }  # fmt: skip
        piece = self._first_piece_bytes
        return [Tail(self._documents, name, _path(name, day.day), end, wanted, piece) for name, end in ends.items()]

    async def _notes(self, tails: Sequence[Tail]) -> list[str]:
        """Where the lines stand that did not parse. Counting lines costs a read, so only for a few."""
        notes: list[str] = []
        for tail in tails:
            for start in sorted(tail.damaged)[: MAX_NOTES + 1]:
                line = (await self._documents.read_from(tail.path, 0, start)).count(b"\n") + 1 if start else 1
                notes.append(f"{tail.path}:{line} is not a JSON object and was left out")
        return notes


class _Page:
    """Events being gathered until there are enough of them, or enough bytes."""

    def __init__(self, limit: int, max_bytes: int) -> None:
        self.events: list[LogEvent] = []
        self.notes: list[str] = []
        self._limit = limit
        self._bytes_left = max_bytes

    def add(self, event: LogEvent, size: int) -> None:
        self.events.append(event)
        self._bytes_left -= min(size, MAX_COUNTED_BYTES)

    @property
    def is_full(self) -> bool:
        return len(self.events) >= self._limit or self._bytes_left <= 0

    def found(self, cursor: str | None) -> Found:
        return Found(tuple(self.events), cursor, few(self.notes))


async def _drain(tails: Sequence[Tail], page: _Page) -> None:
    """Move lines into *page*, the newest of all tails first, until it is full or they are empty."""
    while not page.is_full:
        waiting = [tail for tail in tails if await tail.fill()]
        if not waiting:
            return
        line = max(waiting, key=Tail.order).take()
        page.add(line.event, line.stop - line.start)


def _path(stream: str, day: str) -> str:
    return f"{stream}/log/{day[:7]}/{day}.jsonl"


def is_day_file(stream: str, path: str) -> bool:
    """Whether *path* is where a day of *stream* is kept; other files beside the days are not read."""
    try:
        day = date.fromisoformat(path.rsplit("/", 1)[-1].removesuffix(".jsonl"))
    except ValueError:
        return False
    return path == _path(stream, day.isoformat())


def _following(day: str) -> str:
    return (date.fromisoformat(day) + _ONE_DAY).isoformat()


def _position(cursor: str | None) -> tuple[str | None, dict[str, int]]:
    if cursor is None:
        return None, {}
    day, positions = decode_cursor(cursor, 2)
    if isinstance(day, str) and isinstance(positions, dict):
        ends = cast("dict[str, Any]", positions)
        if all(type(end) is int and end >= 0 for end in ends.values()):
            return day, ends
    raise InvalidArgument("not a cursor of this list", hint="pass next_cursor unchanged, or leave cursor out")
