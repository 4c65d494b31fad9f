"""The log for other systems, a page at a time: lines as they are stored, or OpenTelemetry."""

from __future__ import annotations

import sqlite3
from typing import Literal

from argosy_core.errors import InvalidArgument
from argosy_core.serving.results import clamp_limit, decode_cursor, encode_cursor
from argosy_core.types import Caller
from argosy_log.access import Access
from argosy_log.event_index import EventIndex
from argosy_log.event_pages import lines_between
from argosy_log.events import LogEvent, read_line
from argosy_log.indexed_events import partial_note
from argosy_log.models import Exported
from argosy_log.otlp import Telemetry
from argosy_log.query import Query, build_query

Format = Literal["jsonl", "otlp"]
MAX_PAGE_BYTES = 512 * 1024


class Exporting:
    """Pages of what a caller may see, oldest first."""

    def __init__(self, index: EventIndex, access: Access) -> None:
        self._index = index
        self._access = access

    async def export(
        self, caller: Caller, since: str | None, until: str | None, format_: Format, limit: int, cursor: str | None
    ) -> Exported:
        """One page. Raises InvalidArgument."""
        query = build_query(await self._access.scope(caller), since=since, until=until)
        after = _position(cursor)
        most = clamp_limit(limit)

        def work(db: sqlite3.Connection) -> tuple[list[tuple[bytes, LogEvent]], str | None, str]:
            lines, more = _page(db, query, after, most)
            content = "".join(f"{_text(line)}\n" for line, _ in lines)
            return lines, more, content if format_ == "jsonl" else Telemetry(db).render(lines)

        (lines, more, content), is_complete = await self._index.ask_fresh(query.scope.streams, work)
        notes = [] if is_complete else [await partial_note(self._index)]
        if format_ == "jsonl" and any(_text(line).encode() != line for line, _ in lines):
            notes.append("lines that are not UTF-8 have a replacement character where they are not")
        return Exported(format=format_, content=content, lines=len(lines), next_cursor=more, notes=notes)


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")


def _page(
    db: sqlite3.Connection, query: Query, after: tuple[str, int], most: int
) -> tuple[list[tuple[bytes, LogEvent]], str | None]:
    found: list[tuple[bytes, LogEvent]] = []
    size = 0
    last = after
    days = (query.first_day or "", query.last_day or "~")
    for path, number, line in lines_between(db, query.scope.streams, *days, after):
        event = read_line(path.partition("/")[0], line)
        if event is None or not query.wants(event):
            continue
        if found and (len(found) == most or size + len(line) > MAX_PAGE_BYTES):
            return found, encode_cursor("x", *last)
        found.append((line, event))
        size += len(line)
        last = (path, number)
    return found, None


def _position(cursor: str | None) -> tuple[str, int]:
    if cursor is None:
        return "", -1
    mark, path, number = decode_cursor(cursor, 3)
    if mark != "x" or not isinstance(path, str) or type(number) is not int:
        raise InvalidArgument("not a cursor of this list", hint="pass next_cursor unchanged, or leave cursor out")
    return path, number
