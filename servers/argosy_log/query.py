"""Which events a question means."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from argosy_core.clock import parse_time
from argosy_core.errors import InvalidArgument
from argosy_log.events import LogEvent, Scope

MAX_TEXT_CHARS = 500
MAX_NAME_CHARS = 200
MAX_KINDS = 50
_DAY = timedelta(days=1)
_MIN_LETTERS = 3
_WRITTEN_NUMBERS = "-infinity"
_OWN_RUN = re.compile(r"run-\d{8}-")
_RUN_DATE = re.compile(r"(?<!\d)(20\d{2})-?(\d{2})-?(\d{2})(?!\d)")
_PLAIN = re.compile(r"[A-Za-z0-9_.:-]+")


@dataclass(frozen=True, slots=True)
class Query:
    """A filter over events: what is None or empty does not filter. *texts* are case-folded ways to write one text."""

    scope: Scope
    kinds: tuple[str, ...] = ()
    run: str | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    texts: tuple[str, ...] = ()

    def wants(self, event: LogEvent) -> bool:
        """Whether *event* passes the filter."""
        return (
            self.scope.sees(event)
            and (self.run is None or event.run == self.run)
            and (not self.kinds or any(is_kind(event.kind, kind) for kind in self.kinds))
            and (self.status is None or event.fields.get("status") == self.status)
            and self._in_time(event)
            and (not self.texts or self._holds_text(event))
        )

    def _in_time(self, event: LogEvent) -> bool:
        if self.since is None and self.until is None:
            return True
        if event.at is None:
            return False
        return (self.since is None or self.since <= event.at) and (self.until is None or event.at <= self.until)

    def _holds_text(self, event: LogEvent) -> bool:
        whole = json_text(event.fields).casefold()
        return any(text in whole for text in self.texts)

    def may_hold_text(self, line: bytes) -> bool:
        """Whether a raw line is worth parsing for the text: one that cannot hold it is told without."""
        # Anything but letters may be written in more than one way.
        if len(self.texts) != 1 or len(self.texts[0]) < _MIN_LETTERS or b"\\" in line:
            return True
        text = self.texts[0]
        is_plain = all(char.isalpha() or char == " " for char in text) and text not in _WRITTEN_NUMBERS
        return not is_plain or text in line.decode("utf-8", "replace").casefold()

    @property
    def first_day(self) -> str | None:
        """The first day file that can hold an answer; a day early, since older files are named by local days."""
        days = [self.since.date()] if self.since else []
        if self.run and _OWN_RUN.match(self.run) and (day := day_of_run(self.run)):
            days.append(day)
        return _iso(max(days), -_DAY) if days else None

    @property
    def last_day(self) -> str | None:
        """The last day file that can hold an answer."""
        return _iso(self.until.date(), _DAY) if self.until else None

    @property
    def needles(self) -> tuple[bytes, ...]:
        """Bytes that a line must hold to be worth parsing; () when nothing is known of it."""
        needle = self.run or self.status
        return needles_of([needle]) if needle else ()


def build_query(
    scope: Scope,
    *,
    kinds: Sequence[str] | None = None,
    run: str | None = None,
    status: str | None = None,
    since: str | None = None,
    until: str | None = None,
    text: str | None = None,
) -> Query:
    """The filter that a tool's arguments mean. Raises InvalidArgument."""
    if len(kinds or ()) > MAX_KINDS:
        raise InvalidArgument(f"at most {MAX_KINDS} kinds", hint="end a kind with * to mean a group: memory.*")
    for name, value, most in (("run", run, MAX_NAME_CHARS), ("text", text, MAX_TEXT_CHARS)):
        if value is not None and len(value) > most:
            raise InvalidArgument(f"{name} has at most {most} characters")
    start, end = _moment(since, "since"), _moment(until, "until", last=True)
    if start and end and start > end:
        raise InvalidArgument("since is after until", hint="swap them")
    # A quote in the text may be meant as it stands in a value, or as JSON's own.
    texts = {text.casefold(), json_text(text)[1:-1].casefold()} if text else set[str]()
    return Query(scope, tuple(kinds or ()), run or None, status or None, start, end, tuple(sorted(texts)))


def day_of_run(run: str) -> date | None:
    """The day that a run's id names; None when it names none."""
    found = _RUN_DATE.search(run)
    try:
        return date(*(int(part) for part in found.groups())) if found else None
    except ValueError:
        return None


def is_own_run(run: str) -> bool:
    """Whether the id has the form that this system and the older one make, so that its day can be relied on."""
    return _OWN_RUN.match(run) is not None and day_of_run(run) is not None


def needles_of(values: Sequence[str]) -> tuple[bytes, ...]:
    """*values* as bytes to look for in raw lines; () when one could be written in more than one way."""
    return tuple(value.encode() for value in values) if all(map(_PLAIN.fullmatch, values)) else ()


def json_text(value: Any) -> str:
    """*value* as compact JSON; empty when it is nested too deep to be written."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return ""


def is_kind(kind: str, wanted: str) -> bool:
    """Whether *kind* is the one *wanted*, or of its group."""
    return kind.startswith(wanted[:-1]) if wanted.endswith("*") else kind == wanted


def _moment(text: str | None, name: str, *, last: bool = False) -> datetime | None:
    """A time, or for a plain date its first instant; its last one with *last*."""
    if not text:
        return None
    try:
        moment = parse_time(text)
        return moment + _DAY - timedelta(microseconds=1) if last and len(text.strip()) == 10 else moment
    except (ValueError, OverflowError) as exc:
        hint = "write YYYY-MM-DD or 2026-05-06T11:32:00Z"
        raise InvalidArgument(f"{name} is not a time: {text[:40]!a}", hint=hint) from exc


def _iso(day: date, step: timedelta) -> str:
    try:
        return (day + step).isoformat()
    except OverflowError:
        return day.isoformat()
