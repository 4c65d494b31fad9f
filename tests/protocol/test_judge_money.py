"""Budgets, grants and mandates through the protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from served import Answer, Bench, call, text_in

from argosy_core.canonical import sha256_hex
from argosy_core.clock import SystemClock
from argosy_core.testing.fakes import FakeClock
from argosy_core.types import Role
from argosy_judge.server import create

pytestmark = pytest.mark.anyio

POLICY = "## Cost caps\n\n- daily_usd: 1\n"
COSTS = "## Tool costs\n\n- bank__pay: 0.25\n"
MANDATE = """# Mandates

## pay-rent

```yaml
granted_by: marit
granted_at: 2026-11-01
scope: rent
revocation_state: active
expires_at: 2027-01-01
constraints:
  allowed_tools: [bank__pay]
  allowed_targets: [{kind: recipient, value: landlord}]
  blocked_targets: [{value: casino}]
  daily_external_usd: 0.5
  requires_escalation_above_external_usd: 0.3
```
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def host(bench: Bench, tool: str, /, carrying: str | None = None, **arguments: Any) -> Answer:
    meta = {"argosy/run": bench.tokens.issue("harbor", "run-1", grant=carrying)}
    return await call(create, bench.config(), tool, meta, **arguments)


async def reserve(bench: Bench, usd: float, /, **more: Any) -> Answer:
    return await host(bench, "judge_reserve", run="run-1", estimate={"usd": usd, **more})


async def evaluate(bench: Bench, tool: str = "bank__pay", /, grant: str | None = None, **more: Any) -> Answer:
    arguments = more.pop("arguments", {"recipient": "landlord"})
    proposal = {"tool_name": tool, "tool_call_id": "c1", "tool_arguments": arguments, **more}
    return await host(bench, "judge_evaluate", grant, proposal=proposal)


def turn(bench: Bench, seconds: float) -> None:
    assert isinstance(bench.clock, FakeClock)
    bench.clock.advance(seconds)


def citing(mandate: str = "pay-rent", **more: Any) -> dict[str, Any]:
    return {"authorization": {"granted_by": f"mandate:{mandate}", **more}, "side_channel_for_tool_call_id": "c1"}


# Budgets


async def test_money_is_set_aside_then_settled(bench: Bench) -> None:
    bench.write("policy.md", POLICY)
    made = await reserve(bench, 0.75)
    assert (made.fields["outcome"], made.fields["usd"]) == ("reserved", 0.75)
    refused = await reserve(bench, 0.5)
    assert refused.code == "budget_exhausted"
    assert "policy.md allows $1.00 today; $0.00 is spent, $0.75 set aside, $0.50 asked for" in refused.text
    assert refused.detail["action"] == "skip"
    settled = await host(bench, "judge_settle", reservation=made.fields["reservation"], actual=0.25)
    assert settled.fields["usd"] == 0.25
    assert (await reserve(bench, 0.75)).code is None
    page = await host(bench, "judge_budget", scope="actor")
    day = page.fields["items"][0]
    assert (day["purse"], day["period"], day["spent"], day["outstanding"], day["cap"], day["left"]) == (
        "actor", "day", 0.25, 0.75, 1.0, 0.0,
    )  # fmt: skip


async def test_settling_twice_is_once(bench: Bench) -> None:
    made = await reserve(bench, 0.5)
    arguments: Any = {"reservation": made.fields["reservation"], "actual": 0.125}
    for _ in range(2):
        assert (await host(bench, "judge_settle", **arguments)).fields["usd"] == 0.125
    assert (await host(bench, "judge_settle", **arguments | {"actual": 0.5})).code == "conflict"
    assert (await host(bench, "judge_settle", reservation="none", actual=0)).code == "not_found"
    events = [json.loads(line) for line in bench.read("harbor/log/2026-11/2026-11-20.jsonl").splitlines()]
    assert [event["kind"] for event in events] == ["budget.reserve", "budget.settle", "budget.refused"]


async def test_whoever_dies_has_spent_the_estimate(bench: Bench) -> None:
    bench.write("policy.md", POLICY)
    await reserve(bench, 1, ttl_s=60)
    turn(bench, 61)
    assert (await reserve(bench, 0.5)).code == "budget_exhausted"
    [day, *_] = (await host(bench, "judge_budget", scope="actor")).fields["items"]
    assert (day["spent"], day["outstanding"]) == (1.0, 0.0)


async def test_a_run_that_was_slow_and_not_dead_pays_what_it_was(bench: Bench) -> None:
    made = await reserve(bench, 1, ttl_s=60)
    turn(bench, 61)
    await reserve(bench, 0)
    assert (await host(bench, "judge_settle", reservation=made.fields["reservation"], actual=0.25)).code is None
    [day, *_] = (await host(bench, "judge_budget", scope="actor")).fields["items"]
    assert day["spent"] == 0.25


async def test_each_threshold_is_warned_of_once(bench: Bench) -> None:
    bench.write("policy.md", POLICY)
    first, second, third = [await reserve(bench, 0.3) for _ in range(3)]
    assert first.fields["warnings"] == []
    assert second.fields["warnings"] == ["50% of policy.md's $1.00 a day is reached"]
    assert third.fields["warnings"] == ["80% of policy.md's $1.00 a day is reached"]


@pytest.mark.parametrize(("action", "code", "outcome"), [("skip", "budget_exhausted", None), ("alert", None, "alert")])
async def test_an_agents_own_cap_does_what_its_file_says(
    bench: Bench, action: str, code: str | None, outcome: str | None
) -> None:
    text = f"```yaml\ncost_guardrails:\n  enabled: true\n  daily_cap_usd: 0.5\n  daily_cap_action: {action}\n```\n"
    bench.write("harbor/model.md", text)
    answer = await reserve(bench, 0.75)
    assert (answer.code, answer.fields.get("outcome")) == (code, outcome)
    assert (await reserve(bench, 0.75, critical=True)).code is None


async def test_a_fallback_is_named_and_then_let_through(bench: Bench) -> None:
    text = (
        "```yaml\ndefault_model: dear-1\nfallback_model: cheap-1\n"
        "cost_guardrails:\n  enabled: true\n  daily_cap_usd: 0.5\n  daily_cap_action: fallback\n```\n"
    )
    bench.write("harbor/model.md", text)
    refused = await reserve(bench, 0.75, model="dear-1")
    assert (refused.code, refused.detail["action"], refused.detail["model"]) == (
        "budget_exhausted",
        "fallback",
        "cheap-1",
    )
    assert (await reserve(bench, 0.75, model="cheap-1")).fields["outcome"] == "fallback"


async def test_what_is_critical_does_not_pass_the_fleets_cap(bench: Bench) -> None:
    bench.write("policy.md", POLICY)
    assert (await reserve(bench, 2, critical=True)).code == "budget_exhausted"


@pytest.mark.parametrize("file", ["policy.md", "judges.md", "harbor/tools.md"])
async def test_nothing_is_spent_while_a_policy_cannot_be_read(bench: Bench, file: str) -> None:
    bench.write(file, b"## Cost caps\n\n- daily_usd: \xff\n")
    assert (await reserve(bench, 0.01)).code == "corrupted"


async def test_nothing_is_spent_while_the_agents_cost_block_cannot_be_read(bench: Bench) -> None:
    bench.write("harbor/model.md", "```yaml\ncost_guardrails:\n  enabled: true\n  daily_cap_usd: lots\n```\n")
    assert (await reserve(bench, 0.01)).code == "corrupted"


async def test_the_judges_own_money_is_kept_apart(bench: Bench) -> None:
    bench.write("policy.md", POLICY)
    bench.write("judges.md", "```yaml\nbudget: {daily_usd: 0.1, per_action_usd: 0.05}\n```\n")
    assert (await reserve(bench, 1)).code is None
    assert (await reserve(bench, 0.05, payer="judge", critical=True)).code is None
    assert (await reserve(bench, 0.06, payer="judge")).code == "budget_exhausted"
    assert (await reserve(bench, 0.05, payer="judge")).code is None
    assert (await reserve(bench, 0.01, payer="judge")).code == "budget_exhausted"


@pytest.mark.parametrize("estimate", [{}, {"usd": -1}, {"usd": 1, "extra": 2}, {"usd": "1"}, {"usd": 1e12}, 5])
async def test_an_estimate_is_checked(bench: Bench, estimate: Any) -> None:
    answer = await host(bench, "judge_reserve", run="r", estimate=estimate)
    assert answer.code == "invalid_argument"


async def test_a_ledger_somebody_broke_stops_spending_and_says_how_to_mend_it(bench: Bench) -> None:
    await reserve(bench, 0.5)
    bench.write("_fleet/budgets/harbor.json", "{}")
    broken = await reserve(bench, 0.1)
    assert (broken.code, "made again from the log" in broken.text) == ("corrupted", True)
    (bench.root / "_fleet/budgets/harbor.json").unlink()
    assert (await reserve(bench, 0.1)).code is None
    [day, *_] = (await host(bench, "judge_budget", scope="actor")).fields["items"]
    assert day["outstanding"] == 0.6


async def test_many_at_once_from_two_servers_share_one_cap(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SystemClock())
    bench.write("policy.md", POLICY)
    meta: Any = bench.run_meta("harbor")
    made: list[str] = []

    async with Client(create(bench.config())) as first, Client(create(bench.config())) as second:

        async def ask(client: Client) -> None:
            for _ in range(6):
                result = await client.call_tool("judge_reserve", {"run": "r", "estimate": {"usd": 0.1}}, meta=meta)
                made.extend([] if result.is_error else ["one"])

        async with anyio.create_task_group() as group:
            for client in (first, second, first, second):
                group.start_soon(ask, client)
    assert len(made) == 10


async def test_an_agent_sees_its_budget_and_sets_nothing_aside(bench: Bench) -> None:
    assert (await call(create, bench.config(), "judge_budget")).code is None
    refused = await call(create, bench.config(), "judge_reserve", run="r", estimate={"usd": 1})
    assert refused.code == "permission_denied"
    unknown = await call(create, bench.config(), "judge_budget", scope="everything")
    assert unknown.code == "invalid_argument"


# Grants


async def issue(bench: Bench, **more: Any) -> Answer:
    arguments = {"holder": "harbor", "tools": ["mail__*"], "until": "2026-12-01", "why": "the campaign"}
    return await call(create, bench.config(role=Role.OPERATOR), "grant_issue", **{**arguments, **more})


async def test_a_grant_is_issued_listed_and_revoked(bench: Bench) -> None:
    made = await issue(bench, targets={"hosts": ["*.example.org"]}, limits={"usd_day": 0.5, "actions": 3})
    grant = made.fields["grant"]
    assert bench.read(made.fields["path"]).startswith("---\ntype: grant\n")
    listed = await call(create, bench.config(), "grant_list")
    assert [(g["grant"], g["state"]) for g in listed.fields["items"]] == [(grant, "active")]
    assert (await call(create, bench.config("reef"), "grant_list")).fields["items"] == []
    for _ in range(2):
        ended = await call(create, bench.config(role=Role.OPERATOR), "grant_revoke", grant=grant)
        assert ended.fields["state"] == "revoked"
    missing = await call(create, bench.config(role=Role.OPERATOR), "grant_revoke", grant="none")
    assert missing.code == "not_found"


@pytest.mark.parametrize(
    "bad",
    [
        {"holder": "nobody"},
        {"until": "2026-01-01"},
        {"until": "never"},
        {"why": " "},
        {"tools": ["a b"]},
        {"targets": {"everything": True}},
        {"targets": {"paths": ["/etc"]}},
        {"limits": {"usd_day": -1}},
        {"limits": {"dollars": 1}},
    ],
)
async def test_a_grant_that_makes_no_sense_is_not_issued(bench: Bench, bad: dict[str, Any]) -> None:
    assert (await issue(bench, **bad)).code in ("invalid_argument", "not_found")
    assert not (bench.root / "_fleet/grants").exists()


async def test_only_a_person_issues_grants(bench: Bench) -> None:
    arguments = {"holder": "harbor", "tools": [], "until": "2027-01-01", "why": "x"}
    for role in (Role.AGENT, Role.HOST):
        meta = bench.run_meta("harbor") if role is Role.HOST else None
        assert (await call(create, bench.config(), "grant_issue", meta, **arguments)).code == "permission_denied"


async def test_a_runs_grant_bounds_what_it_may_do(bench: Bench) -> None:
    bench.write("harbor/judges.md", "## Class policy\n\n- external_side_effect: allow_with_audit\n")
    grant = (await issue(bench, targets={"hosts": ["*.example.org"], "paths": ["output"]})).fields["grant"]
    allowed = await evaluate(
        bench, "mail__send", grant, arguments={"to": "a@b.example", "url": "https://api.example.org/"}
    )
    assert allowed.fields["outcome"] == "allow", allowed.text
    for tool, arguments in (
        ("bank__pay", {}),
        ("mail__send", {"url": "https://other.net/"}),
        ("mail__send", {"attachment": "memory/a.md"}),
    ):
        assert (await evaluate(bench, tool, grant, arguments=arguments)).fields["outcome"] == "block"
    await call(create, bench.config(role=Role.OPERATOR), "grant_revoke", grant=grant)
    refused = await evaluate(bench, "mail__send", grant, arguments={})
    assert (refused.fields["outcome"], "revoked" in refused.fields["reason"]) == ("block", True)


async def test_a_grant_may_travel_in_the_signed_token(bench: Bench) -> None:
    bench.write("harbor/judges.md", "## Class policy\n\n- external_side_effect: allow_with_audit\n")
    grant = json.dumps({"tools": ["mail__*"], "mode": "propose"})
    assert (await evaluate(bench, "mail__send", grant, arguments={})).fields["outcome"] == "escalate"
    assert (await evaluate(bench, "bank__pay", grant)).fields["outcome"] == "block"
    for bad in ("{", "[]", "none", '{"tols": []}'):
        assert (await evaluate(bench, "mail__send", bad, arguments={})).fields["outcome"] == "block"
    another = (await issue(bench, holder="reef")).fields["grant"]
    assert (await evaluate(bench, "mail__send", another, arguments={})).fields["outcome"] == "block"


@pytest.mark.parametrize(
    ("mode", "outcomes"),
    [
        ("dry", ("allow", "block", "block", "block")),
        ("propose", ("allow", "allow", "escalate", "escalate")),
        ("watched", ("allow", "allow", "escalate", "escalate")),
        ("free", ("allow", "allow", "allow", "escalate")),
    ],
)
async def test_a_runs_mode_decides_how_far_it_acts(bench: Bench, mode: str, outcomes: tuple[str, ...]) -> None:
    bench.write("harbor/judges.md", "## Class policy\n\n- external_side_effect: allow_with_audit\n")
    grant = json.dumps({"mode": mode})
    tools = ("memory_read", "memory_write", "mail__send", "grant_issue")
    found = [(await evaluate(bench, tool, grant, arguments={})).fields["outcome"] for tool in tools]
    assert tuple(found) == outcomes


async def test_a_thousand_small_calls_are_as_many_as_were_granted(bench: Bench) -> None:
    bench.write("harbor/judges.md", "## Class policy\n\n- external_side_effect: allow_with_audit\n")
    bench.write("harbor/tools.md", "## Tool costs\n\n- bank__pay: 0.12\n")
    bench.write("policy.md", "## Cost caps\n\n- daily_usd: 0.5\n")
    outcomes = [(await evaluate(bench)).fields["outcome"] for _ in range(6)]
    assert outcomes == ["allow"] * 4 + ["block"] * 2
    counted = json.dumps({"limits": {"actions": 2}})
    found = [(await evaluate(bench, "memory_write", counted, arguments={})).fields["outcome"] for _ in range(3)]
    assert found == ["allow", "allow", "block"]


async def test_a_broken_grant_is_named_and_grants_nothing(bench: Bench) -> None:
    bench.write("_fleet/grants/g1.md", "---\nholder: harbor\ntols: []\n---\n")
    listed = await call(create, bench.config(), "grant_list")
    assert listed.fields["problems"] == ["_fleet/grants/g1.md line 3: unknown key 'tols' in a grant"]
    assert (await evaluate(bench, "memory_write", "g1", arguments={})).fields["outcome"] == "block"
    report = await call(create, bench.config(role=Role.OPERATOR), "judge_doctor")
    assert "judge_grants" in {finding["check"] for finding in report.fields["findings"]}


async def test_grants_and_budget_are_resources(bench: Bench) -> None:
    await issue(bench)
    await reserve(bench, 0.5)
    server = create(bench.config())
    async with Client(server) as client:
        grants = text_in((await client.read_resource("judge://grants")).contents[0])
        budget = json.loads(text_in((await client.read_resource("judge://budget")).contents[0]))
    assert "the campaign" in grants
    assert budget[0]["purse"] == "actor"
    assert server.domain.uris_of("_fleet/grants/g1.md") == ["judge://grants"]
    assert server.domain.uris_of("_fleet/budgets/harbor.json") == ["judge://budget"]


# Mandates


async def test_a_mandate_covers_what_a_judge_would_have_to_decide(bench: Bench) -> None:
    bench.write("harbor/tools.md", COSTS)
    assert (await evaluate(bench)).fields["outcome"] == "escalate"
    bench.write("harbor/mandates.md", MANDATE)
    covered = await evaluate(bench, **citing())
    assert covered.fields["outcome"] == "allow"
    assert "covered by the mandate pay-rent of marit" in covered.fields["reason"]
    assert covered.fields["reservation"]
    spent = (await host(bench, "judge_budget", scope="mandate:pay-rent")).fields["items"]
    assert [(line["outstanding"], line["cap"]) for line in spent if line["period"] == "day"] == [
        (0.25, 0.5),
    ]


@pytest.mark.parametrize(
    ("change", "more", "reason"),
    [
        ({}, citing("none"), "mandate_not_found"),
        ({}, citing(source_hash="0" * 64), "mandate_state_inconsistent"),
        ({"revocation_state: active": "revocation_state: revoked"}, citing(), "mandate_revoked"),
        ({"2027-01-01": "2026-11-19"}, citing(), "mandate_expired"),
        ({"[bank__pay]": "[bank__show]"}, citing(), "mandate_tool_not_allowed"),
        ({}, citing() | {"arguments": {"recipient": "neighbour"}}, "mandate_target_not_allowed"),
        ({}, citing() | {"arguments": {"recipient": ["landlord", {"bcc": "x"}]}}, "mandate_target_not_allowed"),
        ({}, citing() | {"arguments": {"recipient": "landlord", "cc": "casino"}}, "mandate_target_blocked"),
        ({}, citing() | {"arguments": {"sum": 5}}, "mandate_target_unextractable"),
        ({"  daily_external_usd: 0.5": "  time_window: {days: [mon]}"}, citing(), "mandate_outside_time_window"),
        ({"daily_external_usd: 0.5": "daily_external_usd: 0.2"}, citing(), "mandate_cap_would_exceed"),
        ({"daily_external_usd: 0.5": "daily_token_usd: 0"}, citing(), "mandate_cap_would_exceed"),
        ({"above_external_usd: 0.3": "above_external_usd: 0.1"}, citing(), "mandate_escalation_threshold_hit_external"),
        ({"scope: rent": "scop: rent"}, citing(), "mandate_not_found"),
    ],
)  # fmt: skip
async def test_each_of_the_nine_checks_refuses_in_its_own_words(
    bench: Bench, change: dict[str, str], more: dict[str, Any], reason: str
) -> None:
    text = MANDATE
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new)
    bench.write("harbor/tools.md", COSTS)
    bench.write("harbor/mandates.md", text)
    refused = await evaluate(bench, **more)
    expected = "escalate" if "threshold" in reason else "block"
    assert refused.fields["outcome"] == expected, refused.text
    assert refused.fields["reason"].startswith(reason)
    assert refused.fields["reservation"] is None


async def test_a_mandate_with_an_external_cap_wants_a_known_cost(bench: Bench) -> None:
    bench.write("harbor/mandates.md", MANDATE)
    assert (await evaluate(bench, **citing())).fields["reason"].startswith("mandate_external_cost_unprojectable")


async def test_a_mandates_cap_holds_over_many_calls(bench: Bench) -> None:
    bench.write("harbor/tools.md", COSTS)
    bench.write("harbor/mandates.md", MANDATE)
    outcomes = [(await evaluate(bench, **citing())).fields["outcome"] for _ in range(4)]
    assert outcomes == ["allow", "allow", "block", "block"]
    turn(bench, 120)  # nobody settled them: they cost what was estimated
    assert (await evaluate(bench, **citing())).fields["outcome"] == "block"


async def test_a_wrong_hash_keeps_the_run_from_the_mandate_for_a_while(bench: Bench) -> None:
    bench.write("harbor/tools.md", COSTS)
    bench.write("harbor/mandates.md", MANDATE)
    wrong = citing(source_hash="0" * 64)
    assert (await evaluate(bench, **wrong)).fields["reason"].startswith("mandate_state_inconsistent")
    assert (await evaluate(bench, **citing())).fields["reason"].startswith("mandate_rebind_suspicious_throttled")
    turn(bench, 61)
    right = sha256_hex(MANDATE.partition("\n\n")[2].encode())
    assert (await evaluate(bench, **citing(source_hash=right))).fields["outcome"] == "allow"


async def test_a_mandate_is_cited_for_one_call_or_not_at_all(bench: Bench) -> None:
    bench.write("harbor/mandates.md", MANDATE)
    for marker in ({}, {"side_channel_for_tool_call_id": "c2"}, {"side_channel_for_tool_call_id": ["c1", "c1"]}):
        forged: dict[str, Any] = {"authorization": "mandate:pay-rent", **marker}
        answer = await evaluate(bench, **forged)
        assert answer.fields["outcome"] == "block"
        assert answer.fields["reason"].startswith("JudgeProposalInvalid")


async def test_an_issued_grant_is_cited_like_a_mandate(bench: Bench) -> None:
    made = await issue(bench, tools=["mail__send"], targets={"hosts": ["example.org"]})
    cited = citing(made.fields["grant"])
    assert (await evaluate(bench, "mail__send", **cited, arguments={"url": "https://example.org"})).fields[
        "outcome"
    ] == "allow"
    assert (await evaluate(bench, "mail__send", **cited, arguments={"url": "https://evil.net"})).fields[
        "outcome"
    ] == "block"
    assert (await evaluate(bench, "mail__wipe", **cited)).fields["outcome"] == "block"


async def test_a_mandate_opens_nothing_that_another_rule_closes(bench: Bench) -> None:
    bench.write("harbor/mandates.md", MANDATE)
    bench.write("harbor/tools.md", COSTS + "\n## Tool classification\n\n- bank__pay: high_risk\n")
    assert (await evaluate(bench, **citing())).fields["outcome"] == "escalate"
    bench.write("policy.md", "## Tools\n\n- deny: bank__pay\n")
    assert (await evaluate(bench, **citing())).fields["outcome"] == "block"


# One call of high risk at a time under a mandate

HIGH = "## Tool classification\n\n- bank__pay: high_risk\n"
JUDGED = "## Class policy\n\n- high_risk: judge_required\n"


def locked(bench: Bench, costs: str = "") -> Bench:
    bench.write("harbor/judges.md", JUDGED)
    bench.write("harbor/tools.md", f"# Tools\n\n{costs}{HIGH}")
    bench.write("harbor/mandates.md", MANDATE if costs else MANDATE.replace("  daily_external_usd: 0.5\n", "").replace(
        "  requires_escalation_above_external_usd: 0.3\n", ""))  # fmt: skip
    return bench


@pytest.mark.parametrize("costs", ["", COSTS], ids=["costs nothing", "costs something"])
async def test_two_calls_of_high_risk_under_one_mandate_come_one_after_the_other(bench: Bench, costs: str) -> None:
    locked(bench, costs)
    first = await evaluate(bench, **citing())
    assert first.fields["outcome"] == "allow" and first.fields["reservation"]
    started = bench.clock.monotonic()
    other = await evaluate(bench, **citing())
    assert other.fields["outcome"] == "block"
    assert other.fields["reason"].startswith("mandate_high_risk_lock_timeout")
    assert other.fields["reservation"] is None
    assert 30 <= bench.clock.monotonic() - started < 31
    await host(bench, "judge_settle", reservation=first.fields["reservation"], actual=0)
    assert (await evaluate(bench, **citing())).fields["outcome"] == "allow"


async def test_a_lock_ends_with_who_died_holding_it(bench: Bench) -> None:
    locked(bench)
    assert (await evaluate(bench, **citing())).fields["outcome"] == "allow"
    turn(bench, 61)
    assert (await evaluate(bench, **citing())).fields["outcome"] == "allow"


async def test_the_owner_says_how_long_a_lock_is_waited_for(bench: Bench) -> None:
    locked(bench).write("harbor/judges.md", f"{JUDGED}\n## Mandates\n\n- high_risk_lock_timeout_s: 0\n")
    await evaluate(bench, **citing())
    started = bench.clock.monotonic()
    assert (await evaluate(bench, **citing())).fields["outcome"] == "block"
    assert bench.clock.monotonic() - started < 1


async def test_a_call_that_a_cap_stops_holds_no_lock(bench: Bench) -> None:
    locked(bench, COSTS).write("policy.md", "## Cost caps\n\n- daily_usd: 0.1\n")
    assert (await evaluate(bench, **citing())).fields["outcome"] == "block"
    bench.write("policy.md", POLICY)
    turn(bench, 3)
    assert (await evaluate(bench, **citing())).fields["outcome"] == "allow"


async def test_what_is_of_a_lower_class_waits_for_nobody(bench: Bench) -> None:
    locked(bench, COSTS).write("harbor/tools.md", f"# Tools\n\n{COSTS}")
    for _ in range(2):
        assert (await evaluate(bench, **citing())).fields["outcome"] == "allow"
