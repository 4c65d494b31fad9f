"""How an event is shown in a list: compact, bounded, and as JSON that every client takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_log.events import read_line
from argosy_log.items import MAX_FIELDS, item_of
from argosy_log.models import LogItem


def item(fields: dict[str, Any]) -> LogItem:
    event = read_line("caldwell", json.dumps(fields).encode())
    assert event is not None
    return item_of(event)


def test_common_fields_have_their_place_and_the_rest_stands_in_fields() -> None:
    found = item(
        {
            "ts": "2026-05-06T11:32:00-05:00",
            "kind": "tool",
            "run_id": "r",
            "status": "ok",
            "summary": "s",
            "call_id": "c",
        }
    )
    assert found == LogItem(
        stream="caldwell", writer=None, seq=None, ts="2026-05-06T16:32:00.000Z", kind="tool", run="r", status="ok",
        summary="s", fields={"call_id": "c"},
    )  # fmt: skip
    assert found.render() == "2026-05-06T16:32:00.000Z caldwell tool ok r s call_id=c"


def test_long_values_are_cut_at_500_characters() -> None:
    found = item({"kind": "x", "summary": "s" * 900, "a": "ü" * 900, "b": ["y" * 900], "c": {"d": 1}})
    assert found.summary is not None
    assert [len(found.summary), len(found.fields["a"]), len(found.fields["b"])] == [500, 500, 500]
    assert found.fields["c"] == {"d": 1}


def test_an_event_of_many_fields_says_how_many_more_there_are() -> None:
    found = item({"kind": "x", **{f"f{n}": n for n in range(MAX_FIELDS + 7)}})
    assert len(found.fields) == MAX_FIELDS + 1 and found.fields["…"] == "7 more fields"


def test_a_line_break_in_a_field_does_not_break_the_line_that_a_model_reads() -> None:
    assert "\n" not in item({"kind": "x", "summary": "a\nb", "detail": "c\n\nd", "e\n": ["f\ng"]}).render()


def test_what_a_terminal_would_obey_is_not_shown() -> None:
    assert "\x1b" not in item({"kind": "x", "summary": "\x1b[2Jgone", "a\x9b": "\x1b]0;t"}).render()


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "[NaN]", '{"a":[Infinity]}', "[" * 200 + "]" * 200, "1" * 4000])
def test_what_json_or_a_client_cannot_carry_becomes_text(text: str) -> None:
    event = read_line("caldwell", f'{{"kind":"x","v":{text}}}'.encode())
    assert event is not None
    shown = item_of(event)
    assert json.loads(json.dumps(shown.model_dump(mode="json"), allow_nan=False))["kind"] == "x"
    assert json.loads(shown.model_dump_json(), parse_constant=pytest.fail)["kind"] == "x"


@given(
    st.dictionaries(
        st.text(max_size=300),
        st.recursive(st.none() | st.floats() | st.text() | st.integers(), lambda inner: st.lists(inner), max_leaves=30),
    )
)
def test_any_event_makes_an_item_that_travels_as_json(fields: dict[str, Any]) -> None:
    shown = item(fields)
    assert LogItem.model_validate_json(shown.model_dump_json()) == shown
    assert len(json.dumps(shown.model_dump(mode="json"), allow_nan=False)) < 200_000
    assert "\n" not in shown.render()
