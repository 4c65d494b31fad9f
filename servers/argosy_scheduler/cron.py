"""Cron expressions: what they may hold, and the moments they mean.

Five fields in the zone of the trigger. The days on which the clocks change are treated as Debian's cron does:

- An expression that names its minutes and hours (``30 2 * * *``) runs once for each time it names. A time that the
  clocks jump over runs at the moment of the jump; of a time that comes twice, the first one counts.
- One that begins its minutes or hours with ``*`` (``*/15 * * * *``, ``0 * * * *``) goes on in even steps of real time:
  it has no slot in an hour that is left out, and slots in both when an hour comes twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo

from cronsim import CronSim, CronSimError

from argosy_core.errors import InvalidArgument

MAX_CHARS = 200
_FIELDS = (
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of month", "1-31, L (the last day) or LW (the last working day)"),
    ("month", "1-12 or JAN-DEC"),
    ("day of week", "0-7 (0 and 7 are Sunday) or SUN-SAT, 5L (the last Friday), 5#2 (the second Friday)"),
)
_HOW = "single values, lists 1,2, ranges 1-5, steps */5, or *"
_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_SECOND = timedelta(seconds=1)
# Within so short a time the clocks of a place change once at most.
_NO_TWO_CHANGES = timedelta(days=7)
_ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def check_cron(text: str) -> str:
    """*text* as five fields. Raises InvalidArgument that names the field which is wrong and what it may hold."""
    if len(text) > MAX_CHARS:
        raise _wrong(f"the cron is longer than {MAX_CHARS} characters", "five short fields")
    expression = _NAMED.get(text.strip().lower(), " ".join(text.split()))
    if expression.startswith("@"):
        raise _wrong(f"there is no cron {expression!r}", f"one of {', '.join(_NAMED)}, or five fields")
    fields = expression.split(" ")
    if len(fields) != len(_FIELDS):
        given = len(fields) if expression else 0
        raise _wrong(
            f"a cron has five fields, not {given}",
            "minute, hour, day of month, month, day of week: 0 7 * * 1-5 is 7:00 on working days",
        )
    for place, (value, (name, allowed)) in enumerate(zip(fields, _FIELDS, strict=True)):
        if not _parses(" ".join("*" if other != place else value for other in range(len(fields)))):
            raise _wrong(f"the {name} field {value!r} is not understood", f"{allowed}; {_HOW}")
    if not _parses(expression) or next(cron_slots(expression, UTC, _ANY_DAY), None) is None:
        raise _wrong(
            f"the day of month field {fields[2]!r} names a day that never comes in month {fields[3]}",
            "change one of the two",
        )
    return expression


def cron_slots(expression: str, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    """The moments after *after*, in UTC, without end (a day that never comes again ends it)."""
    minute, hour = expression.split(" ")[:2]
    steady = zone is not UTC and (minute.startswith("*") or hour.startswith("*"))
    last = after
    for slot in _steady(expression, zone, after) if steady else _named(expression, zone, after):
        # Two times in an hour that is left out are one moment; and in the second of two equal hours the library
        # names moments of the first, which are over.
        if slot > last:
            last = slot
            yield slot


def _named(expression: str, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    """The times that an expression names, as the library moves them on the days on which clocks change."""
    for found in CronSim(expression, after.astimezone(zone)):
        yield found.astimezone(UTC)


def _steady(expression: str, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    """Every moment at which the clock of *zone* shows a time that is meant.

    The library loses some where clocks change by half an hour, so it only counts, from one change to the next.
    """
    start, offset = after, _offset(zone, after)
    while True:
        change = None
        for wall in CronSim(expression, (start + offset).replace(tzinfo=None)):
            slot = wall.replace(tzinfo=UTC) - offset
            change = _next_change(zone, offset, start, slot)
            if change is not None:
                break
            yield slot
            start = slot
        if change is None:
            return
        start, offset = change - _SECOND, _offset(zone, change)


def _next_change(zone: tzinfo, offset: timedelta, start: datetime, end: datetime) -> datetime | None:
    """The first second after *start*, and not after *end*, in which *offset* does not hold; None when it holds."""
    while start < end:
        stop = min(start + _NO_TWO_CHANGES, end)
        if _offset(zone, stop) != offset:
            while stop - start > _SECOND:
                middle = start + (stop - start) / 2
                start, stop = (middle, stop) if _offset(zone, middle) == offset else (start, middle)
            return stop.replace(microsecond=0)
        start = stop
    return None


def _offset(zone: tzinfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def _parses(expression: str) -> bool:
    try:
        CronSim(expression, _ANY_DAY)
    except CronSimError:
        return False
    return True


def _wrong(message: str, hint: str) -> InvalidArgument:
    return InvalidArgument(message, hint=hint, field="cron")
