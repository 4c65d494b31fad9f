"""What passes for a proposal, and what cannot be judged."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_core.canonical import arguments_hash
from argosy_judge.proposal import ProposalInvalid, read_proposal

GOOD: dict[str, Any] = {"tool_name": "memory_write", "tool_arguments": {"title": "x"}, "tool_call_id": "call_1"}


def test_a_proposal_needs_a_name_an_id_and_arguments_alone() -> None:
    proposal = read_proposal(GOOD)
    assert (proposal.tool_name, proposal.tool_call_id, proposal.server) == ("memory_write", "call_1", None)
    assert proposal.arguments_hash == arguments_hash({"title": "x"})


def test_everything_an_actor_may_say_is_taken() -> None:
    said = {
        "server": "memory",
        "reason": "asked to",
        "evidence": [{"source": "journal", "claim": "x", "provenance": "observed"}],
        "authorization": {"granted_by": "operator", "scope": "notes"},
        "side_channel_for_tool_call_id": "call_1",
        "expected_consequence": "a note",
        "reversibility": "reversible",
        "rollback_path": "restore the version",
        "target_audience": "internal",
    }
    assert read_proposal({**GOOD, **said}).server == "memory"


def test_what_a_proposal_says_of_its_own_class_counts_for_nothing() -> None:
    claimed = {**GOOD, "classification": "read_only", "arguments_hash": "0" * 64, "proposal_id": "mine"}
    assert read_proposal(claimed) == read_proposal(GOOD)


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"tool_name": None}, "tool_name is missing"),
    ({"tool_name": " "}, "tool_name is missing"),
    ({"tool_name": 7}, "tool_name is missing"),
    ({"tool_name": "x" * 300}, "tool_name is too long"),
    ({"tool_name": "memory_read\u202e"}, "invisible"),
    ({"tool_call_id": ""}, "tool_call_id is missing"),
    ({"server": 3}, "server is missing"),
    ({"server": ""}, "server is missing"),
    ({"tool_arguments": None}, "tool_arguments is not an object"),
    ({"tool_arguments": ["a"]}, "tool_arguments is not an object"),
    ({"tool_arguments": '{"a": 1}'}, "tool_arguments is not an object"),
    ({"tool_arguments": {"x": math.nan}}, "canonical JSON"),
    ({"tool_arguments": {"x": math.inf}}, "canonical JSON"),
    ({"tool_arguments": {"x": "\ud800"}}, "canonical JSON"),
    ({"tool_arguments": {"x": b"bytes"}}, "canonical JSON"),
    ({"side_channel_for_tool_call_id": "call_2"}, "names another call"),
    ({"reason": ["because"]}, "reason is not text"),
    ({"evidence": {"source": "x"}}, "evidence is not a list"),
    ({"authorization": 1}, "authorization"),
    ({"reversibility": "maybe"}, "reversibility"),
]


@pytest.mark.parametrize(("change", "reason"), INVALID)
def test_what_cannot_be_bound_or_read_is_invalid(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ProposalInvalid, match=reason):
        read_proposal({**GOOD, **change})


@pytest.mark.parametrize("field", ["tool_name", "tool_arguments", "tool_call_id"])
def test_each_of_the_three_fields_is_needed(field: str) -> None:
    with pytest.raises(ProposalInvalid, match=field):
        read_proposal({key: value for key, value in GOOD.items() if key != field})


def test_arguments_nested_beyond_reason_are_invalid() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ProposalInvalid, match="canonical JSON"):
        read_proposal({**GOOD, "tool_arguments": {"x": deep}})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [*GOOD, "server", "reason", "evidence", "authorization", "reversibility", "side_channel_for_tool_call_id"]


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), json_values))
def test_any_object_is_read_or_refused_and_left_as_it_was(raw: dict[str, Any]) -> None:
    before = copy.deepcopy(raw)
    try:
        read_proposal(raw)
    except ProposalInvalid as error:
        assert str(error)
    assert repr(raw) == repr(before)
