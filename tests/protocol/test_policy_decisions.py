"""Which list or cap of the owner's decided against a call, in the fields of the judgment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from judges import MANDATE
from served import Bench, call

from argosy_judge.server import create

pytestmark = pytest.mark.anyio

ALLOWED = "## Class policy\n\n- external_side_effect: allow_with_audit\n"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.write("judges.md", ALLOWED)
    bench.write("harbor/tools.md", "## Tool costs\n\n- bank__pay: 0.25\n")
    return bench


async def evaluate(bench: Bench, tool: str = "bank__pay", grant: Any = None, **more: Any) -> dict[str, Any]:
    meta = {"argosy/run": bench.tokens.issue("harbor", "run-1", grant=json.dumps(grant) if grant else None)}
    proposal = {"tool_name": tool, "tool_call_id": "c1", "tool_arguments": {}, "server": tool.split("__")[0], **more}
    answer = await call(create, bench.config(), "judge_evaluate", meta, proposal=proposal)
    return answer.fields


@pytest.mark.parametrize(
    ("policy", "axis", "value"),
    [
        ("## Tools\n\n- deny: bank__*\n", "tool_allowlist", "bank__pay"),
        ("## Tools\n\n- allow: mail__*\n", "tool_allowlist", "bank__pay"),
        ("## MCP servers\n\n- deny: bank\n", "mcp_allowlist", "bank"),
        ("## MCP servers\n\n- allow: mail\n", "mcp_allowlist", "bank"),
    ],
)
async def test_a_list_that_refuses_is_named_with_what_it_refused(
    bench: Bench, policy: str, axis: str, value: str
) -> None:
    bench.write("policy.md", policy)
    judged = await evaluate(bench)
    assert judged["outcome"] == "block"
    assert judged["policy_decision"] == {
        "decision_kind": "deny", "denying_layer": "policy", "axis": axis, "attempted_value": value,
        "tool_name": "bank__pay", "mcp_server_name": "bank", "enforced": True,
    }  # fmt: skip


async def test_a_cap_of_the_fleet_is_named_with_what_the_day_would_have_come_to(bench: Bench) -> None:
    bench.write("policy.md", "## Cost caps\n\n- daily_usd: 0.4\n")
    assert (await evaluate(bench))["policy_decision"] is None
    judged = await evaluate(bench, grant={"limits": {"usd_run": 0.3}})
    assert judged["policy_decision"] == {
        "decision_kind": "deny", "denying_layer": "policy", "axis": "cost_cap", "cap_dimension": "daily_usd",
        "attempted_value": 0.5, "effective_cap": 0.4, "source": "policy.md",
        "tool_name": "bank__pay", "mcp_server_name": "bank", "enforced": True,
    }  # fmt: skip


async def test_the_cap_of_a_run_is_the_last_layer_and_counts_in_its_own_unit(bench: Bench) -> None:
    grant = {"limits": {"actions": 1}}
    assert (await evaluate(bench, grant=grant))["outcome"] == "allow"
    told = (await evaluate(bench, grant=grant))["policy_decision"]
    assert (told["denying_layer"], told["cap_dimension"]) == ("per_call", "cumulative_actions")
    assert (told["attempted_value"], told["effective_cap"]) == (2, 1)


async def test_the_cap_of_a_mandate_is_its_own_layer(bench: Bench) -> None:
    bench.write("harbor/mandates.md", MANDATE.format(cap="monthly_external_usd"))
    cited: Any = {"authorization": {"granted_by": "mandate:pay-rent"}, "side_channel_for_tool_call_id": "c1"}
    told = (await evaluate(bench, **cited))["policy_decision"]
    assert (told["denying_layer"], told["cap_dimension"], told["effective_cap"]) == ("mandate", "monthly_usd", 0.2)


async def test_what_another_rule_stops_is_no_decision_of_a_list(bench: Bench) -> None:
    bench.write("policy.md", "## Tools\n\n- deny: bank__*\n")
    bench.write("judges.md", ALLOWED + "\nmisspelt: x\n")
    judged = await evaluate(bench)
    assert (judged["outcome"], judged["policy_decision"]) == ("block", None)
