"""Questions of number, answered from sums that the index keeps and, at the edges of a span of time, from events."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from argosy_core.errors import InvalidArgument
from argosy_log.event_facts import DAY_US, HOUR_US, MICROSECONDS, NANODOLLARS, microseconds
from argosy_log.event_pages import event_of_line, sees_combo
from argosy_log.event_sql import statement
from argosy_log.event_sums import DAYS, HOURS, NO_SPAN, counts_of
from argosy_log.events import Scope
from argosy_log.histogram import RELATIVE_ERROR, bucket_of, percentile_of_buckets, percentile_of_values

Measure = Literal["count", "cost_usd", "input_tokens", "output_tokens", "latency_ms"]
Stat = Literal["sum", "avg", "p50", "p95", "p99"]
Field = Literal["kind", "agent", "model", "tool", "status", "server", "run", "day", "hour"]
MAX_FIELDS = 4
EXACT_VALUES = 5_000  # of so many values percentiles are exact
_COLUMNS: Mapping[str, tuple[str, int]] = {
    "count": ("latency", 1),
    "cost_usd": ("cost", NANODOLLARS),
    "input_tokens": ("tokens_in", 1),
    "output_tokens": ("tokens_out", 1),
    "latency_ms": ("latency", MICROSECONDS),
}
_PERCENTS: Mapping[str, float] = {"p50": 50, "p95": 95, "p99": 99}
_ALL = (-1 << 60, 1 << 60)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Sought:
    """One question: *first* and *last* are microseconds, *last* exclusive; None leaves the span of time open."""

    scope: Scope
    measure: Measure
    stat: Stat
    by: tuple[Field, ...]
    first: int | None = None
    last: int | None = None

    @property
    def has_span(self) -> bool:
        """Whether events are told apart by their time."""
        return "day" in self.by or "hour" in self.by


@dataclass(slots=True)
class Group:
    """Events with the same values of the fields asked for."""

    events: int = 0
    valued: int = 0  # events that have the measure
    amount: int = 0
    sample: int = 0  # the id of a line of one of them
    value: float | None = None


@dataclass(slots=True)
class Answer:
    """Groups by their keys (values in the order of the fields asked for), and how exact a percentile is."""

    groups: dict[Key, Group] = field(default_factory=dict[Key, Group])
    relative_error: float = 0.0


def check_question(measure: Measure, stat: Stat, by: Sequence[Field]) -> tuple[Field, ...]:
    """The fields to group by, each once. Raises InvalidArgument for what cannot be asked."""
    if measure == "count" and stat != "sum":
        raise InvalidArgument(f"a count has no {stat}", hint="use stat sum, or another measure")
    if len(set(by)) > MAX_FIELDS:
        raise InvalidArgument(f"at most {MAX_FIELDS} fields to group by")
    return tuple(dict.fromkeys(by))


def span_of(since: datetime | None, until: datetime | None) -> tuple[int | None, int | None]:
    """The microseconds of a span whose last moment is *until*."""
    return microseconds(since) if since else None, microseconds(until) + 1 if until else None


def answer(db: sqlite3.Connection, sought: Sought) -> Answer:
    """All groups of the answer."""
    combos = _combos(db, sought.scope)
    found = Answer()
    for row in _sums(db, sought, combos):
        if (combo := combos.get(row["combo"])) is not None:
            group = found.groups.setdefault(_key(sought, combo, row), Group())
            group.events += row["events"]
            group.valued += row["n"]
            group.amount += row["amount"]
            group.sample = group.sample or ("run" in sought.by and row["id"])
    if sought.measure != "count":
        found.groups = {key: group for key, group in found.groups.items() if group.valued}
    if sought.stat in _PERCENTS:
        _set_percentiles(db, sought, combos, found)
    else:
        for group in found.groups.values():
            group.value = _value(sought, group)
    return found


def _value(sought: Sought, group: Group) -> float:
    if sought.measure == "count":
        return group.events
    scale = _COLUMNS[sought.measure][1]
    amount = group.amount / scale if scale > 1 else group.amount
    return amount / group.valued if sought.stat == "avg" else amount


def ordered(found: Answer, by: Sequence[Field]) -> list[tuple[Key, Group]]:
    """The groups by time when they are told apart by time, else the greatest first."""
    items = sorted(found.groups.items(), key=lambda item: [(value is not None, value) for value in item[0]])
    if "day" in by or "hour" in by:
        times = [place for place, name in enumerate(by) if name in ("day", "hour")]
        return sorted(items, key=lambda item: [item[0][place] or "" for place in times])
    return sorted(items, key=lambda item: -(item[1].value or 0))


def with_runs(db: sqlite3.Connection, groups: Sequence[tuple[Key, Group]], by: Sequence[Field]) -> list[Key]:
    """The keys of *groups* with runs' ids in place of their numbers."""
    if "run" not in by:
        return [key for key, _ in groups]
    place = list(by).index("run")
    keys: list[Key] = []
    for key, group in groups:
        event = event_of_line(db, group.sample) if key[place] is not None else None
        keys.append((*key[:place], event.run if event else None, *key[place + 1 :]))
    return keys


def _combos(db: sqlite3.Connection, scope: Scope) -> dict[int, sqlite3.Row]:
    rows = db.execute(statement("facts_of_combos"), {"streams": json.dumps(scope.streams)})
    return {row["id"]: row for row in rows if sees_combo(scope, row)}


def _key(sought: Sought, combo: sqlite3.Row, row: sqlite3.Row) -> Key:
    return tuple(_part(name, combo, row) for name in sought.by)


def _part(name: Field, combo: sqlite3.Row, row: sqlite3.Row) -> Any:
    if name == "run":
        return row["run"]
    if name not in ("day", "hour"):
        return combo[name] or None
    hours = row["span"]
    if hours < 0:
        return None
    moment = _EPOCH + timedelta(hours=hours)
    return f"{moment:%Y-%m-%d}" if name == "day" else f"{moment:%Y-%m-%dT%H}:00Z"


# Sums


def _sums(db: sqlite3.Connection, sought: Sought, combos: Collection[int]) -> Iterator[sqlite3.Row]:
    """Rows of (combo, span in hours, events, n, amount), which together are all events asked for."""
    column = _COLUMNS[sought.measure][0]
    if "run" in sought.by:
        yield from _run_sums(db, sought, column, combos)
        return
    ending = "_by_span" if sought.has_span else ""
    for grain, first, last in _cover(sought):
        if grain is None:
            yield from _execute(db, f"event_sums{ending}", column, {"first": first, "last": last})
        else:
            arguments = {"grain": grain, "first": first, "last": last, "hours": 24 if grain == DAYS else 1}
            yield from _execute(db, f"sums{ending}", column, arguments)


def _run_sums(db: sqlite3.Connection, sought: Sought, column: str, combos: Collection[int]) -> Iterator[sqlite3.Row]:
    """As `_sums`, for each run: all events are looked at, and told apart no finer than was asked for."""
    by_facts = any(name not in ("run", "day", "hour") for name in sought.by)
    span = "coalesce(at / 3600000000, -1)" if sought.has_span else "-1"
    parts = {"combo": "combo" if by_facts else "min(combo)", "span": span, "measure": column}
    parts["groups"] = ", ".join(["combo"] * by_facts + [span] * sought.has_span) or "1 = 1"
    query = statement("run_sums")
    for name, text in parts.items():
        query = query.replace(f"{{{name}}}", text)
    arguments = {"first": sought.first, "last": sought.last, "combos": json.dumps(sorted(combos))}
    yield from db.execute(query, arguments)


def _execute(db: sqlite3.Connection, name: str, column: str, arguments: Mapping[str, Any]) -> sqlite3.Cursor:
    return db.execute(statement(name).replace("{measure}", column), arguments)


def _cover(sought: Sought) -> list[tuple[int | None, int, int]]:
    """The span of time as whole days, whole hours and rests: (grain, or None for microseconds; first; last exclusive).

    Only an open span has events without a time in it.
    """
    if sought.first is None and sought.last is None:
        return [(HOURS if "hour" in sought.by else DAYS, NO_SPAN, _ALL[1])]
    first = max(_ALL[0] if sought.first is None else sought.first, 0)
    last = _ALL[1] if sought.last is None else sought.last
    grains = [(HOURS, HOUR_US)] if "hour" in sought.by else [(DAYS, DAY_US), (HOURS, HOUR_US)]
    return list(_split(first, last, grains))


def _split(first: int, last: int, grains: Sequence[tuple[int, int]]) -> Iterator[tuple[int | None, int, int]]:
    if first >= last:
        return
    if not grains:
        yield None, first, last
        return
    grain, unit = grains[0]
    whole_first, whole_last = -(-first // unit), last // unit
    if whole_first >= whole_last:
        yield from _split(first, last, grains[1:])
        return
    yield grain, whole_first, whole_last
    yield from _split(first, whole_first * unit, grains[1:])
    yield from _split(whole_last * unit, last, grains[1:])


# Percentiles


def _set_percentiles(db: sqlite3.Connection, sought: Sought, combos: Mapping[int, sqlite3.Row], found: Answer) -> None:
    """From the values where they are few; from how they lie in each day where they are many."""
    scale = _COLUMNS[sought.measure][1]
    percent = _PERCENTS[sought.stat]
    is_exact = sum(group.valued for group in found.groups.values()) <= EXACT_VALUES
    told: dict[Key, dict[int, int]] = {}
    source = _values(db, sought, is_exact) if is_exact or not _has_spreads(sought) else _spreads(db, sought)
    for row, counts in source:
        if (combo := combos.get(row["combo"])) is not None:
            kept = told.setdefault(_key(sought, combo, row), {})
            for each, count in counts.items():
                kept[each] = kept.get(each, 0) + count
    for key, group in found.groups.items():
        rank = percentile_of_values if is_exact else percentile_of_buckets
        value = rank(told.get(key, {}), percent)
        group.value = None if value is None else value / scale
    found.relative_error = 0.0 if is_exact else RELATIVE_ERROR


def _has_spreads(sought: Sought) -> bool:
    return "run" not in sought.by and "hour" not in sought.by


def _values(db: sqlite3.Connection, sought: Sought, is_exact: bool) -> Iterator[tuple[sqlite3.Row, Mapping[int, int]]]:
    column = _COLUMNS[sought.measure][0]
    for row in _execute(db, "run_values", column, {"first": sought.first, "last": sought.last}):
        yield row, {row["value"] if is_exact else bucket_of(row["value"]): 1}


def _spreads(db: sqlite3.Connection, sought: Sought) -> Iterator[tuple[sqlite3.Row, Mapping[int, int]]]:
    column = _COLUMNS[sought.measure][0]
    if sought.first is None and sought.last is None and not sought.has_span:
        for row in db.execute(statement("all_spreads"), {"measure": column}):
            yield row, counts_of(row["counts"])
        return
    for grain, first, last in _by_day(_cover(sought)):
        if grain == DAYS:
            for row in db.execute(statement("spreads"), {"measure": column, "first": first, "last": last}):
                yield row, counts_of(row["counts"])
        else:
            for row in _execute(db, "values", column, {"first": first, "last": last}):
                yield row, {bucket_of(row["value"]): 1}


def _by_day(cover: Iterable[tuple[int | None, int, int]]) -> Iterator[tuple[int | None, int, int]]:
    """The cover with its hours as microseconds: how values lie is kept by day only."""
    for grain, first, last in cover:
        yield (None, first * HOUR_US, last * HOUR_US) if grain == HOURS else (grain, first, last)
