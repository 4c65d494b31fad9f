"""Days and their entries, read in order and never more of them than a page takes."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from anyio import to_thread

from argosy_core.errors import InvalidArgument, NotFound, TooLarge
from argosy_core.serving.results import decode_cursor, encode_cursor
from argosy_core.storage.base import Documents, FileInfo
from argosy_journal.days import FOLDER, Passage, day_of, day_of_stamp, decode_day, parse_day, parse_on
from argosy_journal.models import JournalEntry

MAX_SHOWN_CHARS = 20_000  # of one entry
MAX_PAGE_CHARS = 200_000
MOST_OF_A_LARGE_DAY_BYTES = 4 * 1024 * 1024  # the end of a file above the limit of a document
MAX_KEPT_BYTES = 4 * 1024 * 1024
MAX_KEPT = 100
_MONTH = re.compile(r"\d{4}-\d{2}")


@dataclass(frozen=True, slots=True)
class DayFile:
    """One file of the journal and the day it is about. *month* is its folder's, where that is one of a month."""

    day: date
    path: str
    stamp: tuple[int, int]
    month: str

    @property
    def order(self) -> tuple[str, str, str]:
        return self.month, self.day.isoformat(), self.path


@dataclass(frozen=True, slots=True)
class Range:
    """Days *start* to *end* inclusive; None is open."""

    start: date | None = None
    end: date | None = None

    def holds(self, day: date) -> bool:
        return (self.start is None or day >= self.start) and (self.end is None or day <= self.end)

    def may_hold(self, month: str) -> bool:
        """Whether a day of *month* (``YYYY-MM``) may be in it."""
        return not (self.start and month < f"{self.start:%Y-%m}") and not (self.end and month > f"{self.end:%Y-%m}")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page begins: entry *index* of the file *path*; read backwards, the entries before it."""

    order: tuple[str, str, str]
    index: int


class DayReader:
    """Reads the journals of every agent of a vault."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        # The day that is being written is read again and again: what was read of it stays, the oldest goes.
        self._read: OrderedDict[str, tuple[bytes, Sequence[Passage]]] = OrderedDict()

    async def files(self, agent: str, days: Range, *, newest_first: bool = False) -> AsyncGenerator[DayFile]:
        """The files of *days* in order; a month's folder is listed when it is its turn."""
        root = f"{agent}/{FOLDER}"
        loose = list(await self._documents.list(root, ".md"))
        months: dict[str, list[DayFile]] = {}
        for folder in await self._documents.folders(root):
            if _MONTH.fullmatch(folder):
                months.setdefault(folder, [])
            else:
                loose += await self._documents.list(f"{root}/{folder}", ".md", deep=True)
        for info in loose:
            file = _day_file(info, None)
            months.setdefault(file.month, []).append(file)
        for month in sorted(months, reverse=newest_first):
            if days.may_hold(month):
                inside = await self._documents.list(f"{root}/{month}", ".md", deep=True)
                found = (*months[month], *(_day_file(info, month) for info in inside))
                for file in sorted(found, key=lambda file: file.order, reverse=newest_first):
                    if days.holds(file.day):
                        yield file

    async def passages(self, file: DayFile) -> Sequence[Passage]:
        """The entries of one file; of one that is far too large, those at its end. [] when it went away."""
        try:
            data = (await self._documents.read(file.path)).data
        except NotFound:
            return []
        except TooLarge:
            data = await self._documents.read_from(file.path, max(0, file.stamp[1] - MOST_OF_A_LARGE_DAY_BYTES))
            data = data[data.find(b"\n## ") + 1 :]
            return await to_thread.run_sync(lambda: parse_day(decode_day(data)))
        before, known = self._read.pop(file.path, (b"", ()))
        found = await to_thread.run_sync(parse_on, before, known, data)
        self._keep(file.path, data, found)
        return found

    def _keep(self, path: str, data: bytes, passages: Sequence[Passage]) -> None:
        if len(data) > MAX_KEPT_BYTES // 2:
            return
        self._read[path] = (data, passages)
        while sum(len(kept) for kept, _ in self._read.values()) > MAX_KEPT_BYTES or len(self._read) > MAX_KEPT:
            self._read.popitem(last=False)

    async def page(
        self, agent: str, days: Range, limit: int, cursor: str | None, *, backwards: bool
    ) -> tuple[list[JournalEntry], str | None]:
        """Up to *limit* entries of *days*, oldest first; read *backwards*, those at the end, and before them with the
        cursor. Raises InvalidArgument for a cursor of another list."""
        place = _place_of(cursor, backwards)
        found: list[JournalEntry] = []
        chars = 0
        async for file in self.files(agent, days, newest_first=backwards):
            if place is not None and (file.order > place.order if backwards else file.order < place.order):
                continue
            entries = list(enumerate(await self.passages(file)))
            if place is not None and file.order == place.order:
                entries = entries[: place.index] if backwards else entries[place.index :]
            for index, passage in reversed(entries) if backwards else entries:
                chars += min(len(passage.text), MAX_SHOWN_CHARS)
                if found and (len(found) >= limit or chars > MAX_PAGE_CHARS):
                    following = encode_cursor("back" if backwards else "on", *file.order, index + backwards)
                    return found[:: -1 if backwards else 1], following
                found.append(entry_of(passage, file))
        return found[:: -1 if backwards else 1], None


def entry_of(passage: Passage, file: DayFile) -> JournalEntry:
    """*passage* as it is returned."""
    return JournalEntry(**entry_fields(passage, file.path, file.day))


def entry_fields(passage: Passage, path: str, day: date) -> dict[str, Any]:
    """The fields of an entry that stands in *path*."""
    return {
        "day": day.isoformat(),
        "time": passage.time,
        "text": passage.text[:MAX_SHOWN_CHARS],
        "tags": list(passage.tags),
        "uri": f"journal://{day}",
        "path": path,
        "cut": len(passage.text) > MAX_SHOWN_CHARS,
    }


def _day_file(info: FileInfo, month: str | None) -> DayFile:
    day = day_of(info.path) or day_of_stamp(info.stamp[0])
    return DayFile(day, info.path, info.stamp, month or f"{day:%Y-%m}")


def _place_of(cursor: str | None, backwards: bool) -> _Place | None:
    if cursor is None:
        return None
    way, month, day, path, index = decode_cursor(cursor, 5)
    texts_are_sound = all(isinstance(part, str) for part in (month, day, path))
    if way != ("back" if backwards else "on") or not texts_are_sound or type(index) is not int or index < 0:
        raise InvalidArgument("not a cursor of this list", hint="pass next_cursor with the same range, unchanged")
    return _Place((month, day, path), index)
