"""What is refused of a budget is in the log, once, with what decided it; what is allowed leaves no such line."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from judges import MANDATE
from served import Answer, Bench, call

from argosy_core.errors import Unavailable
from argosy_core.storage.day_chain import DayChain
from argosy_core.types import Role
from argosy_judge.server import create

pytestmark = pytest.mark.anyio

CAP = "## Cost caps\n\n- daily_usd: 0.5\n"
RAILS = """```yaml
default_model: dear-1
fallback_model: cheap-1
cost_guardrails: {{enabled: true, daily_cap_usd: 0.5, daily_cap_action: {action}}}
```
"""
GRANT = """---
holder: {holder}
state: {state}
limits: {{usd_day: 0.5}}
until: {until}
---
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def host(bench: Bench, tool: str, /, grant: str | None = None, **arguments: Any) -> Answer:
    meta = {"argosy/run": bench.tokens.issue("harbor", "run-1", grant=grant)}
    return await call(create, bench.config(), tool, meta, **arguments)


async def reserve(bench: Bench, usd: float, /, grant: str | None = None, **more: Any) -> Answer:
    return await host(bench, "judge_reserve", grant, run="run-1", estimate={"usd": usd, **more})


def refused(bench: Bench) -> list[dict[str, Any]]:
    files = sorted((bench.root / "harbor/log").rglob("*.jsonl"))
    lines = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["kind"] == "budget.refused"]


async def test_a_cap_that_is_reached_is_told_once_with_what_was_asked_for(bench: Bench) -> None:
    bench.write("policy.md", CAP)
    assert (await reserve(bench, 0.4, model="dear-1")).code is None
    assert refused(bench) == []
    answer = await reserve(bench, 0.2, model="dear-1", tokens=900)
    [event] = refused(bench)
    assert event["policy_decision"] == {
        "decision_kind": "deny", "denying_layer": "policy", "axis": "cost_cap", "cap_dimension": "daily_usd",
        "attempted_value": 0.6, "effective_cap": 0.5, "source": "policy.md", "enforced": True,
    }  # fmt: skip
    assert (event["primitive"], event["run_id"], event["payer"]) == ("policy_decision", "run-1", "actor")
    assert (event["model"], event["wanted_usd"], event["wanted_tokens"]) == ("dear-1", 0.2, 900)
    assert event["error"] == answer.code == "budget_exhausted" and event["reason"] in answer.text
    assert (await reserve(bench, 0.1)).code is None
    assert len(refused(bench)) == 1


@pytest.mark.parametrize(
    ("files", "estimate", "grant", "told"),
    [
        ({"harbor/model.md": RAILS.format(action="skip")}, {}, None, ("model_md", "cost_cap", "daily_usd")),
        ({}, {}, '{"limits": {"usd_run": 0.5}}', ("per_call", "cost_cap", "cumulative_usd")),
        ({}, {"tokens": 9}, '{"limits": {"tokens_run": 5}}', ("per_call", "cost_cap", "cumulative_tokens")),
        (
            {"harbor/mandates.md": MANDATE.format(cap="monthly_token_usd")},
            {"mandate": "pay-rent"},
            None,
            ("mandate", "cost_cap", "monthly_usd"),
        ),
        ({}, {"mandate": "pay-all"}, None, ("mandate", "mandate", None)),
        (
            {"judges.md": "```yaml\nbudget: {per_action_usd: 0.1}\n```\n"},
            {"payer": "judge"},
            None,
            ("policy", "cost_cap", "per_action_usd"),
        ),
        ({"policy.md": "## Cost caps\n\n- daily_usd: lots\n"}, {}, None, ("policy", "cost_cap", None)),
        (
            {"harbor/model.md": RAILS.format(action="perhaps")},
            {},
            None,
            ("model_md", "cost_cap", None),
        ),
        ({}, {}, "gone", ("per_call", "grant", None)),
        ({}, {}, "[1]", ("per_call", "grant", None)),
        (
            {"_fleet/grants/g1.md": GRANT.format(holder="harbor", state="active", until="2027-01-01")},
            {},
            "g1",
            ("per_call", "cost_cap", "daily_usd"),
        ),
        (
            {"_fleet/grants/g1.md": GRANT.format(holder="harbor", state="revoked", until="2027-01-01")},
            {},
            "g1",
            ("per_call", "grant", None),
        ),
        (
            {"_fleet/grants/g1.md": GRANT.format(holder="reef", state="active", until="2027-01-01")},
            {},
            "g1",
            ("per_call", "grant", None),
        ),
        (
            {"_fleet/grants/g1.md": GRANT.format(holder="harbor", state="active", until="2026-01-01")},
            {},
            "g1",
            ("per_call", "grant", None),
        ),
        ({"_fleet/grants/g1.md": "---\nholder: harbor\ntols: []\n---\n"}, {}, "g1", ("per_call", "grant", None)),
    ],
)
async def test_whatever_stands_against_it_is_one_event_that_names_the_layer(
    bench: Bench, files: Mapping[str, str], estimate: dict[str, Any], grant: str | None, told: tuple[str | None, ...]
) -> None:
    for path, text in files.items():
        bench.write(path, text)
    answer = await reserve(bench, 0.75, grant, **estimate)
    assert answer.code is not None
    [event] = refused(bench)
    decision = event["policy_decision"]
    assert (decision["denying_layer"], decision["axis"], decision.get("cap_dimension")) == told
    assert event["error"] == answer.code


async def test_a_fallback_is_told_as_the_other_model_that_is_left(bench: Bench) -> None:
    bench.write("harbor/model.md", RAILS.format(action="fallback"))
    await reserve(bench, 0.75, model="dear-1")
    [event] = refused(bench)
    decision = event["policy_decision"]
    assert (decision["decision_kind"], decision["model_from_model_md"]) == ("override", "cheap-1")
    assert (await reserve(bench, 0.75, model="cheap-1")).code is None
    assert len(refused(bench)) == 1


@pytest.mark.parametrize(
    ("text", "estimate"),
    [(RAILS.format(action="alert"), {}), (RAILS.format(action="skip"), {"critical": True})],
)
async def test_a_cap_that_lets_the_spending_through_refuses_nothing(
    bench: Bench, text: str, estimate: dict[str, Any]
) -> None:
    bench.write("harbor/model.md", text)
    assert (await reserve(bench, 0.75, **estimate)).code is None
    assert refused(bench) == []


async def test_what_is_no_estimate_is_no_decision(bench: Bench) -> None:
    bench.write("policy.md", CAP)
    assert (await host(bench, "judge_reserve", run="run-1", estimate={"usd": -1})).code == "invalid_argument"
    assert (await host(bench, "judge_reserve", run="run-1", estimate={"usd": 1e12})).code == "invalid_argument"
    assert not (bench.root / "harbor/log").exists()


async def test_a_judged_call_that_a_cap_stops_is_told_by_its_judgment_alone(bench: Bench) -> None:
    bench.write("policy.md", "## Cost caps\n\n- daily_usd: 0.2\n")
    bench.write("judges.md", "## Class policy\n\n- external_side_effect: allow_with_audit\n")
    bench.write("harbor/tools.md", "## Tool costs\n\n- bank__pay: 0.25\n")
    proposal = {"tool_name": "bank__pay", "tool_call_id": "c1", "tool_arguments": {}}
    judged = await host(bench, "judge_evaluate", proposal=proposal)
    assert judged.fields["policy_decision"]["axis"] == "cost_cap"
    assert refused(bench) == []


async def test_another_sum_for_what_is_settled_is_told_and_the_same_sum_is_not(bench: Bench) -> None:
    made = await reserve(bench, 0.5)
    name = made.fields["reservation"]
    for _ in range(2):
        await host(bench, "judge_settle", reservation=name, actual=0.125)
    assert (await host(bench, "judge_settle", reservation="none", actual=0)).code == "not_found"
    assert refused(bench) == []
    operator = bench.config(role=Role.OPERATOR)
    assert (await call(create, operator, "judge_settle", reservation=name, actual=0.25)).code == "conflict"
    [event] = refused(bench)
    assert (event["reservation_id"], event["error"]) == (name, "conflict")
    assert event["policy_decision"] == {
        "decision_kind": "deny", "denying_layer": "per_call", "axis": "settlement", "attempted_value": 0.25,
        "enforced": True,
    }  # fmt: skip


async def test_a_log_that_takes_no_line_lets_nothing_through(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write("policy.md", "## Cost caps\n\n- daily_usd: 0\n")

    async def full(*_: Any, **__: Any) -> None:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(DayChain, "append", full)
    answer = await reserve(bench, 0.1)
    assert (answer.code, answer.detail["action"]) == ("budget_exhausted", "skip")


async def test_refusing_again_and_again_reads_the_log_through_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write("policy.md", "## Cost caps\n\n- daily_usd: 0\n")
    await reserve(bench, 0.1)  # before this nobody judged here: the log is not looked at
    read: list[str] = []
    scan = DayChain.scan

    def counted(self: DayChain, stream: str, **days: Any) -> AsyncIterator[Mapping[str, Any]]:
        read.append(stream)
        return scan(self, stream, **days)

    monkeypatch.setattr(DayChain, "scan", counted)
    for _ in range(3):
        assert (await reserve(bench, 0.1)).code == "budget_exhausted"
    assert read == ["harbor"]
