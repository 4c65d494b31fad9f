"""Events out of the index, on one connection: pages, newest first, and the family of a run, oldest first."""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from argosy_core.clock import rfc3339
from argosy_core.errors import InvalidArgument
from argosy_core.serving.results import decode_cursor, encode_cursor
from argosy_core.storage.chain_days import day_path
from argosy_core.storage.chain_lines import parse_line
from argosy_log.event_facts import HOUR_US, microseconds, run_key
from argosy_log.event_sql import statement
from argosy_log.events import LogEvent, Scope, read_line
from argosy_log.query import Query, is_kind
from argosy_log.reader import (
    MAX_COUNTED_BYTES,
    MAX_PAGE_BYTES,
    MAX_RUN_BYTES,
    MAX_RUN_EVENTS,
    MAX_RUNS,
    Found,
    few,
    within,
)
from argosy_log.runs import family

MAX_SCANNED = 30_000  # lines looked at for a text in one page
MAX_LISTED_COMBOS = 16  # more of them are found faster by reading all events in order
CURSOR_MARK = "i"
_NEVER = 1 << 62
_SLACK_US = 80 * HOUR_US  # an event's place is at most this far from its time


def is_own_cursor(cursor: str) -> bool:
    """Whether the cursor is one of the index's pages."""
    try:
        return bool(decode_cursor(cursor, 3)[0] == CURSOR_MARK)
    except InvalidArgument:
        return False


def newest_page(db: sqlite3.Connection, query: Query, limit: int, cursor: str | None) -> Found:
    """Up to *limit* events that *query* wants. Raises InvalidArgument for a cursor that is not one of ours.

    Looking for a text reads lines one by one, `MAX_SCANNED` at most: a page may be short and still have a next one.
    """
    place, last_id = _start(cursor)
    lines = _Lines(db)
    events: list[LogEvent] = []
    bytes_left, scanned = MAX_PAGE_BYTES, 0
    before = (place, last_id)
    notes = _damage_notes(db, query) if cursor is None else []
    for row in _candidates(db, query, place, last_id):
        if len(events) == limit or bytes_left <= 0:
            return Found(tuple(events), encode_cursor(CURSOR_MARK, *before), few(notes))
        if scanned >= MAX_SCANNED:
            notes.append(f"looked through {scanned} events back to {_shown(before[0])}; the cursor goes on from there")
            return Found(tuple(events), encode_cursor(CURSOR_MARK, *before), tuple(notes))
        scanned += bool(query.texts)
        before = (row["place"], row["id"])
        text = lines.text(row["id"])
        if query.texts and not query.may_hold_text(text):
            continue
        event = lines.event(row["id"], text)
        if event is not None and query.wants(event):
            events.append(event)
            bytes_left -= min(len(text), MAX_COUNTED_BYTES)
    return Found(tuple(events), None, few(notes))


def _start(cursor: str | None) -> tuple[int, int]:
    if cursor is None:
        return _NEVER, _NEVER
    mark, place, last = decode_cursor(cursor, 3)
    if mark != CURSOR_MARK or type(place) is not int or type(last) is not int or not abs(place) <= _NEVER >= abs(last):
        raise InvalidArgument("not a cursor of this list", hint="pass next_cursor unchanged, or leave cursor out")
    return place, last


def _candidates(db: sqlite3.Connection, query: Query, place: int, last_id: int) -> Iterator[sqlite3.Row]:
    """Events that may be wanted, newest first."""
    since = microseconds(query.since) if query.since else None
    until = microseconds(query.until) if query.until else None
    arguments: dict[str, Any] = {"place": place, "id": last_id, "since": since, "until": until}
    arguments["first"] = since - _SLACK_US if since is not None else -_NEVER
    arguments["last"] = until + _SLACK_US if until is not None else _NEVER
    wanted, total = _combos(db, query)
    if query.run is not None:
        found = db.execute(statement("newest_of_run"), arguments | {"run": run_key(query.run)})
        return (row for row in found if row["combo"] in wanted)
    if len(wanted) == total:
        return iter(db.execute(statement("newest"), arguments))
    if len(wanted) > MAX_LISTED_COMBOS:
        return iter(db.execute(statement("newest_of_combos"), arguments | {"combos": json.dumps(sorted(wanted))}))
    each = [db.execute(statement("newest_of_combo"), arguments | {"combo": combo}) for combo in wanted]
    return heapq.merge(*each, key=lambda row: (-row["place"], -row["id"]))


def _combos(db: sqlite3.Connection, query: Query) -> tuple[set[int], int]:
    """The combos that *query* may want, and how many there are in all."""
    total = int(db.execute(statement("count_combos")).fetchone()[0])
    rows = db.execute(statement("facts_of_combos"), {"streams": json.dumps(query.scope.streams)})
    return {row["id"] for row in rows if _may_want(query, row)}, total


def _may_want(query: Query, combo: sqlite3.Row) -> bool:
    # Texts are cut in the index: what may differ behind the cut is looked at as a whole.
    status, kinds = query.status, query.kinds
    return (
        sees_combo(query.scope, combo)
        and (status is None or combo["status"] == status[: len(combo["status"])])
        and (not kinds or any(is_kind(combo["kind"], kind) or kind.startswith(combo["kind"]) for kind in kinds))
    )


def sees_combo(scope: Scope, combo: Mapping[str, Any] | sqlite3.Row) -> bool:
    """Whether events of the combo are in *scope*."""
    return scope.agent is None or combo["stream"] == scope.agent or f"\n{scope.agent}\n" in combo["named"]


def run_family(db: sqlite3.Connection, scope: Scope, run: str) -> Found:
    """Every event of *run* and of the runs below it, oldest first."""
    lines = _Lines(db)
    runs, waiting = {run}, [run]
    found: dict[tuple[int, int], LogEvent] = {}
    size, is_cut = 0, False
    while waiting and not is_cut:
        arguments = {"run": run_key(waiting.pop()), "count": MAX_RUN_EVENTS}
        for row in db.execute(statement("family_of_run"), arguments):
            text = lines.text(row["id"])
            event = lines.event(row["id"], text)
            if event is None or not family(scope, frozenset(runs))(event):
                continue
            found[row["place"], row["id"]] = event
            size += min(len(text), MAX_COUNTED_BYTES)
            if event.run is not None and event.run not in runs:
                runs.add(event.run)
                waiting.append(event.run)
            is_cut = len(found) >= MAX_RUN_EVENTS or len(runs) > MAX_RUNS or size > MAX_RUN_BYTES
            if is_cut:
                break
    notes = ["the run is too large to show whole: later events are left out"] if is_cut else []
    return Found(tuple(found[key] for key in sorted(found)), None, tuple(notes))


def lines_of_day(db: sqlite3.Connection, streams: Iterable[str], day: date) -> int:
    """How many lines the files of *day* have in *streams*."""
    paths = ({"stream": stream, "path": day_path(stream, day)} for stream in streams)
    return sum(db.execute(statement("lines_of_day"), path).fetchone()[0] for path in paths)


def lines_between(
    db: sqlite3.Connection, streams: Sequence[str], first: str, last: str, after: tuple[str, int]
) -> Iterator[tuple[str, int, bytes]]:
    """The stored lines (path, number from 0, bytes) of the days *first* to *last* of *streams*, oldest file first.

    They begin after the line *after* (path, number).
    """
    arguments = {"streams": json.dumps(list(streams)), "first": first, "last": last}
    begun = (after[0][-16:-6], after[0])
    for file in db.execute(statement("files_between"), arguments).fetchall():
        path = file["path"]
        if (path[-16:-6], path) < begun:
            continue
        start = after[1] + 1 if path == after[0] else 0
        for row in db.execute(
            statement("bodies_between"), {"first": file["id"] << 32 | start, "last": file["id"] + 1 << 32}
        ):
            yield path, row["id"] & 0xFFFFFFFF, row["text"]


class _Lines:
    """Lines by their ids."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._streams: dict[int, str] = {}

    def text(self, line_id: int) -> bytes:
        row = self._db.execute(statement("body"), (line_id,)).fetchone()
        return row[0] if row else b""

    def event(self, line_id: int, text: bytes) -> LogEvent | None:
        file = line_id >> 32
        if file not in self._streams:
            row = self._db.execute(statement("stream_of_file"), (file,)).fetchone()
            self._streams[file] = row[0] if row else ""
        return read_line(self._streams[file], text)


def event_of_line(db: sqlite3.Connection, line_id: int) -> LogEvent | None:
    """The event in one line."""
    lines = _Lines(db)
    return lines.event(line_id, lines.text(line_id))


def _damage_notes(db: sqlite3.Connection, query: Query) -> list[str]:
    rows = db.execute(statement("damaged"), {"streams": json.dumps(query.scope.streams), "count": 50}).fetchall()
    return [
        f"{row['path']}:{(row['id'] & 0xFFFFFFFF) + 1} is not a JSON object and was left out"
        for row in rows
        if within(row["path"][-16:-6], query.first_day, query.last_day)
    ]


def _shown(place: int) -> str:
    return f"{_moment(place):%Y-%m-%dT%H:%M:%SZ}"


def _moment(since_1970_us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=since_1970_us)


def writers_of(db: sqlite3.Connection, stream: str) -> dict[str, tuple[int, str]]:
    """Number and time of each writer's newest entry."""
    rows = db.execute(statement("writers_of"), {"stream": stream})
    return {row["writer"]: (row["seq"], rfc3339(_moment(row["at"]))) for row in rows}


def entry_line(db: sqlite3.Connection, stream: str, writer: str, seq: int) -> bytes | None:
    """The stored line of one entry, by looking through the whole stream; None when there is none."""
    arguments = {"stream": stream, "needle": f'"seq":{seq}'.encode()}
    for row in db.execute(statement("lines_with"), arguments):
        fields = parse_line(row[0]) or {}
        if fields.get("seq") == seq and fields.get("writer") == writer and fields.get("stream") == stream:
            return bytes(row[0])
    return None
