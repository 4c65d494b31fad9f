"""How a line of any age becomes an event."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_log.events import LogEvent, Scope, read_line

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def event(**fields: object) -> LogEvent:
    found = read_line("caldwell", json.dumps(fields).encode())
    assert found is not None
    return found


def test_a_chained_line_keeps_its_place_and_shows_none_of_the_chains_fields() -> None:
    found = event(
        ts="2026-11-20T09:00:00.000Z", kind="tool", run_id="run-1", parent_run_id="run-0", status="ok",
        stream="caldwell", writer="host", seq=7, prev="00", digest="11", hash="22", salt="33",
    )  # fmt: skip
    assert (found.writer, found.seq, found.kind, found.run, found.parent) == ("host", 7, "tool", "run-1", "run-0")
    assert set(found.fields) == {"kind", "run_id", "parent_run_id", "status"}


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"event": "judgment", "primitive": "tool", "model": "m"}, "judgment"),
        ({"primitive": "helper", "model": "m"}, "helper"),
        ({"model": "m"}, "agent_call"),
        ({"trigger": "cron", "status": "skipped"}, "agent_call"),
        ({"summary": "s"}, "other"),
        ({"kind": 7, "event": "", "model": "m"}, "agent_call"),
    ],
)
def test_an_older_line_gets_its_kind_from_event_primitive_or_model(fields: dict[str, object], kind: str) -> None:
    found = event(**fields)
    assert found.kind == kind
    assert (found.writer, found.seq) == (None, None)


def test_offsets_are_instants() -> None:
    assert event(ts="2026-05-06T11:32:00-05:00").at == datetime(2026, 5, 6, 16, 32, tzinfo=UTC)


@pytest.mark.parametrize("ts", [None, 7, "", "yesterday", "0001-01-01T00:00:00+14:00", ["2026-05-06"]])
def test_a_time_nobody_can_read_is_no_time(ts: object) -> None:
    assert event(ts=ts).at is None


@pytest.mark.parametrize("line", [b"", b"{", b"[1]", b"7", b"\xff\xfe", b'{"a":' * 100_000, b"[" * 100_000])
def test_what_is_no_object_is_no_event(line: bytes) -> None:
    assert read_line("caldwell", line) is None


def test_half_a_surrogate_pair_does_not_travel_on() -> None:
    found = read_line("caldwell", rb'{"summary":"a\ud800b","kind":"x","run_id":"\udfff"}')
    assert found is not None
    assert (found.fields["summary"], found.run) == ("a?b", "?")


@given(st.dictionaries(st.sampled_from(["ts", "kind", "run_id", "seq", "hash", "writer", "cost_usd", "b"]), JSON))
def test_any_object_is_an_event_whose_numbers_are_finite_or_nothing(fields: dict[str, object]) -> None:
    found = event(**fields)
    cost = found.number("cost_usd")
    assert cost is None or abs(cost) < float("inf")
    assert found.whole("cost_usd") is None or isinstance(found.whole("cost_usd"), int)
    assert found.inner("b") is not None


@pytest.mark.parametrize(("value", "number"), [(1, 1.0), (True, None), ("1", None), (10**400, None), (None, None)])
def test_only_numbers_are_numbers(value: object, number: float | None) -> None:
    assert event(cost_usd=value).number("cost_usd") == number


def test_an_agent_sees_of_the_fleet_only_what_names_it() -> None:
    scope = Scope(("caldwell", "_fleet"), "caldwell")
    named = read_line("_fleet", b'{"kind":"grant.issue","holder":"caldwell"}')
    foreign = read_line("_fleet", b'{"kind":"grant.issue","holder":"other"}')
    assert named is not None and foreign is not None
    assert scope.sees(named) and not scope.sees(foreign) and scope.sees(event(kind="x"))
    assert Scope(("_fleet",)).sees(foreign)
