"""Which statement of a turn belongs to which of its calls."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_core.json_schemas import complaint_about
from argosy_host.gating.statements import MARKER, NAME, SPEC, TARGET, sort_out
from argosy_host.providers.base import ToolCall


def call(number: str, name: str = "mail__send", **arguments: Any) -> ToolCall:
    return ToolCall(number, name, arguments)


def states(target: object, number: str = "s", **more: Any) -> ToolCall:
    return ToolCall(number, NAME, {TARGET: target, **more})


def test_a_statement_goes_with_the_call_it_names_wherever_it_stands() -> None:
    for turn in ([states("c1", reason="due"), call("c1")], [call("c1"), states("c1", reason="due")]):
        found = sort_out(turn)
        place = turn.index(call("c1"))
        assert found.said == {place: {"reason": "due", MARKER: "c1"}}
        assert not found.noted[1 - place].is_error and list(found.noted) == [1 - place]


def test_a_call_is_named_by_its_tool_where_that_is_called_once() -> None:
    found = sort_out([call("c1"), call("c2", "bank__pay"), states("bank__pay", reason="rent")])
    assert found.said == {1: {"reason": "rent", MARKER: "c2"}}


@pytest.mark.parametrize("target", ["c9", "mail__send", NAME, "s", "", None, 1, ["c1"]])
def test_what_names_no_call_or_several_is_bound_to_none(target: object) -> None:
    found = sort_out([call("c1"), call("c2"), states(target, reason="x")])
    assert found.said == {}
    assert found.noted[2].is_error and found.noted[2].text.startswith("invalid_argument:")


def test_an_id_that_two_calls_bear_names_neither() -> None:
    assert sort_out([call("c1"), call("c1"), states("c1")]).said == {}


def test_two_statements_for_one_call_make_a_marker_that_no_judge_takes() -> None:
    found = sort_out([states("c1", "s1", reason="a"), call("c1"), states("mail__send", "s2", reason="b")])
    assert found.said[1][MARKER] == ["c1", "c1"]


def test_a_statement_brings_no_field_of_the_hosts() -> None:
    for name in (MARKER, "tool_name", "tool_arguments", "classification", "least_class", "amendment", "revision_of"):
        found = sort_out([call("c1"), states("c1", reason="x", **{name: "c1"})])
        assert found.said == {} and found.noted[1].is_error


@given(
    st.lists(
        st.one_of(
            st.builds(call, st.sampled_from(["a", "b", "c"]), st.sampled_from(["x", "y"])),
            st.builds(states, st.sampled_from(["a", "b", "c", "x", "y", "z"]), st.sampled_from(["p", "q"])),
        ),
        max_size=8,
    )
)
def test_every_statement_is_answered_and_none_is_bound_to_another_call_than_it_names(turn: list[ToolCall]) -> None:
    found = sort_out(turn)
    assert set(found.noted) == {place for place, made in enumerate(turn) if made.name == NAME}
    for place, said in found.said.items():
        made = turn[place]
        assert made.name != NAME and said[MARKER] in (made.id, [made.id] * len(said[MARKER]))
        assert any(other.name == NAME and other.arguments[TARGET] in (made.id, made.name) for other in turn)


def test_what_is_offered_is_a_schema_that_fits_what_is_taken() -> None:
    full = {
        TARGET: "c1", "reason": "r", "evidence": [{"source": "n", "claim": "c", "provenance": "observed"}],
        "authorization": {"granted_by": "mandate:x"}, "expected_consequence": "e", "reversibility": "reversible",
        "rollback_path": "p", "target_audience": "internal",
    }  # fmt: skip
    assert complaint_about(SPEC.input_schema, full) is None
    assert complaint_about(SPEC.input_schema, {"reason": "r"}) is not None
    assert complaint_about(SPEC.input_schema, {TARGET: "c1", "classification": "read_only"}) is not None
    assert not sort_out([call("c1"), ToolCall("s", NAME, full)]).noted[1].is_error
