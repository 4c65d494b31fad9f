"""What the log tells of mandates: granted, used, revoked, expired, a cap passed, a cost that nobody verified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from served import Answer, Bench, call

from argosy_core.budget.ledgers import Ledgers
from argosy_core.errors import Unavailable
from argosy_core.testing.fakes import FakeClock
from argosy_core.types import Role
from argosy_judge.server import create

pytestmark = pytest.mark.anyio

COSTS = "## Tool costs\n\n- bank__pay: 0.25\n"
MANDATE = """# Mandates

## pay-rent

```yaml
granted_by: marit
granted_at: 2026-11-01
scope: rent
revocation_state: active
expires_at: 2026-12-01
constraints:
  allowed_tools: [bank__pay]
  daily_external_usd: 0.5
```
"""
LIFE = ("mandate.granted", "mandate.revoked", "mandate.expired")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.write("harbor/tools.md", COSTS)
    bench.write("harbor/mandates.md", MANDATE)
    return bench


def events(bench: Bench, *kinds: str) -> list[dict[str, Any]]:
    files = sorted((bench.root / "harbor/log").glob("*/*.jsonl"))
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [line for line in lines if line["kind"] in kinds]


def kinds_of(bench: Bench) -> list[str]:
    return [event["kind"].partition(".")[2] for event in events(bench, *LIFE)]


async def host(bench: Bench, tool: str, /, **arguments: Any) -> Answer:
    meta = {"argosy/run": bench.tokens.issue("harbor", "run-1")}
    return await call(create, bench.config(), tool, meta, **arguments)


async def operator(bench: Bench, tool: str, /, **arguments: Any) -> Answer:
    return await call(create, bench.config(role=Role.OPERATOR), tool, **arguments)


async def cite(bench: Bench, mandate: str | None = "pay-rent", tool: str = "bank__pay") -> Answer:
    proposal: dict[str, Any] = {"tool_name": tool, "tool_call_id": "c1", "tool_arguments": {}}
    if mandate is not None:
        proposal["authorization"] = {"granted_by": f"mandate:{mandate}"}
        proposal["side_channel_for_tool_call_id"] = "c1"
    return await host(bench, "judge_evaluate", proposal=proposal)


def turn(bench: Bench, seconds: float) -> None:
    assert isinstance(bench.clock, FakeClock)
    bench.clock.advance(seconds)


async def spent_today(bench: Bench, scope: str = "mandate:pay-rent") -> tuple[float, float]:
    lines = (await host(bench, "judge_budget", scope=scope)).fields["items"]
    [day] = [line for line in lines if line["period"] == "day"]
    return day["spent"], day["outstanding"]


# The life of a mandate


async def test_a_mandate_is_told_as_granted_once_whichever_process_sees_it(bench: Bench) -> None:
    for _ in range(3):  # a server each
        await cite(bench)
    [granted] = events(bench, *LIFE)
    assert (granted["kind"], granted["mandate_id"], granted["granted_by"]) == ("mandate.granted", "pay-rent", "marit")
    assert granted["source"] == "harbor/mandates.md"
    assert granted["expires_at"].startswith("2026-12-01")


async def test_many_processes_at_once_tell_it_once(bench: Bench) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(cite, bench)
    assert kinds_of(bench) == ["granted"]


async def test_each_allowed_call_that_cites_it_is_a_use_of_it(bench: Bench) -> None:
    made = await cite(bench)
    await cite(bench, None)
    await cite(bench, tool="bank__close")
    [used] = events(bench, "mandate.used")
    assert (used["mandate_id"], used["tool_name"], used["run_id"]) == ("pay-rent", "bank__pay", "run-1")
    assert (used["proposal_id"], used["reservation_id"]) == (made.fields["proposal_id"], made.fields["reservation"])
    assert used["source_hash"] == events(bench, *LIFE)[0]["source_hash"]


async def test_every_change_is_told_once_and_in_its_order_also_when_one_comes_back(bench: Bench) -> None:
    revoked = MANDATE.replace("revocation_state: active", "revocation_state: revoked\nrevocation_reason: moved out")
    wider = MANDATE.replace("usd: 0.5", "usd: 5")
    for text in (MANDATE, revoked, MANDATE, wider, MANDATE, "# Mandates\n"):
        bench.write("harbor/mandates.md", text)
        for _ in range(2):
            await cite(bench)
    assert kinds_of(bench) == ["granted", "revoked", "granted", "granted", "granted", "revoked"]
    told = events(bench, *LIFE)
    assert [event["change"] for event in told] == [1, 2, 3, 4, 5, 6]
    assert told[1]["revocation_reason"] == "moved out"
    assert told[5]["revocation_reason"] == "it is in no mandates.md any more"


async def test_a_mandate_that_ends_is_told_as_expired_by_the_next_call_that_cites_none(bench: Bench) -> None:
    async with Client(create(bench.config())) as client:
        arguments = {"proposal": {"tool_name": "memory_write", "tool_call_id": "c1", "tool_arguments": {}}}
        for seconds in (0, 20 * 86_400, 0):
            turn(bench, seconds)
            meta: Any = bench.run_meta("harbor")
            await client.call_tool("judge_evaluate", arguments, meta=meta)
    assert kinds_of(bench) == ["granted", "expired"]
    assert not events(bench, "mandate.used")


async def test_a_file_that_cannot_be_read_revokes_nothing(bench: Bench) -> None:
    await cite(bench)
    bench.write("harbor/mandates.md", MANDATE.replace("scope: rent", "scop: rent"))
    await cite(bench)
    assert kinds_of(bench) == ["granted"]


async def test_what_was_told_is_found_in_the_log_when_the_ledger_is_lost(bench: Bench) -> None:
    await cite(bench)
    (bench.root / "_fleet/budgets/harbor.json").unlink()
    bench.write("harbor/mandates.md", MANDATE.replace("state: active", "state: revoked"))
    await cite(bench)
    assert [(event["kind"], event["change"]) for event in events(bench, *LIFE)] == [
        ("mandate.granted", 1),
        ("mandate.revoked", 2),
    ]


async def test_a_process_that_died_after_it_told_a_change_told_it_for_the_next_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cite(bench, None)
    bench.write("harbor/mandates.md", MANDATE.replace("state: active", "state: revoked"))
    with monkeypatch.context() as dying:

        def die(*_: Any) -> None:
            raise Unavailable("killed")

        dying.setattr(Ledgers, "change_now", die)
        dying.setattr(Ledgers, "current", _only_looks)
        await cite(bench, None)
    assert kinds_of(bench) == ["granted", "revoked"]
    bench.write("harbor/mandates.md", MANDATE)
    await cite(bench, None)
    assert kinds_of(bench) == ["granted", "revoked", "granted"]


async def _only_looks(ledgers: Ledgers, agent: str) -> Any:
    return ledgers.look(agent)


async def test_judging_a_call_that_cites_none_writes_nothing_when_nothing_changed(bench: Bench) -> None:
    turn(bench, 60)
    log = bench.root / "harbor/log"
    meta: Any = bench.run_meta("harbor")
    async with Client(create(bench.config())) as client:
        arguments = {"proposal": {"tool_name": "memory_write", "tool_call_id": "c1", "tool_arguments": {}}}
        found: list[str] = []
        for _ in range(3):
            result = await client.call_tool("judge_evaluate", arguments, meta=meta)
            assert (result.structured_content or {})["outcome"] == "allow"
            found.append("".join(file.read_text() for file in sorted(log.glob("*/*.jsonl"))))
    assert found[0] == found[1] == found[2]
    assert kinds_of(bench) == ["granted"]


# Caps


async def test_a_cap_that_is_passed_names_what_used_it_up_and_is_told_once(bench: Bench) -> None:
    made = [(await cite(bench)).fields["reservation"] for _ in range(2)]
    for _ in range(3):
        assert (await cite(bench)).fields["reason"].startswith("mandate_cap_would_exceed")
    [capped] = events(bench, "mandate.cap_exceeded")
    assert sorted(capped["contributing_reservation_ids"]) == sorted(made)
    assert (capped["cap_usd"], capped["outstanding_usd"], capped["wanted_usd"]) == (0.5, 0.5, 0.25)
    assert (capped["mandate_id"], capped["cost_kind"], capped["period"]) == ("pay-rent", "external", "day")
    assert "settled by whoever holds it" in capped["hint"]


async def test_a_cap_used_up_by_what_nobody_verified_says_how_to_reconcile_it(bench: Bench) -> None:
    first, _ = [(await cite(bench)).fields["reservation"] for _ in range(2)]
    turn(bench, 120)
    await host(bench, "judge_budget")
    assert (await cite(bench)).fields["outcome"] == "block"
    [capped] = events(bench, "mandate.cap_exceeded")
    assert "nobody verified 2 of these" in capped["hint"]
    assert "mcp-host call judge_settle" in capped["hint"]
    assert first in capped["contributing_reservation_ids"]


async def test_a_cap_on_tokens_that_a_run_meets_is_told_too(bench: Bench) -> None:
    bench.write("harbor/mandates.md", MANDATE.replace("daily_external_usd", "daily_token_usd"))
    for _ in range(2):
        refused = await host(bench, "judge_reserve", run="run-1", estimate={"usd": 0.75, "mandate": "pay-rent"})
        assert refused.code == "budget_exhausted"
    [capped] = events(bench, "mandate.cap_exceeded")
    assert (capped["cost_kind"], capped["contributing_reservation_ids"], capped["run_id"]) == ("token", [], "run-1")


# What nobody verified


async def abandoned(bench: Bench) -> str:
    """The reservation of a call whose host was killed before it settled it."""
    reservation: str = (await cite(bench)).fields["reservation"]
    turn(bench, 120)
    assert await spent_today(bench) == (0.25, 0.0)
    return reservation


async def test_a_killed_hosts_outer_cost_counts_in_full_and_is_told_as_unverified(bench: Bench) -> None:
    name = await abandoned(bench)
    await host(bench, "judge_budget")
    [told] = events(bench, "budget.external_unverified")
    assert (told["reservation_id"], told["tool_name"], told["projected_usd"]) == (name, "bank__pay", 0.25)
    assert [event["reservation_id"] for event in events(bench, "budget.expired")] == [name]


async def test_a_models_call_that_ran_out_of_time_is_nothing_to_reconcile(bench: Bench) -> None:
    await host(bench, "judge_reserve", run="run-1", estimate={"usd": 0.5, "ttl_s": 60})
    turn(bench, 61)
    await host(bench, "judge_budget")
    assert len(events(bench, "budget.expired")) == 1
    assert not events(bench, "budget.external_unverified")


@pytest.mark.parametrize(("actual", "said"), [(0.25, "committed"), (0.1, "committed"), (0, "rolled_back")])
async def test_an_operator_reconciles_it_once(bench: Bench, actual: float, said: str) -> None:
    name = await abandoned(bench)
    for _ in range(2):
        settled = await operator(bench, "judge_settle", reservation=name, actual=actual)
        assert settled.fields["usd"] == actual
        assert await spent_today(bench) == (actual, 0.0)
    other = await operator(bench, "judge_settle", reservation=name, actual=0.2)
    assert (other.code, await spent_today(bench)) == ("conflict", (actual, 0.0))
    [corrected] = events(bench, "budget.correct")
    assert (corrected["reconciled"], corrected["by"], corrected["tool_name"]) == (said, "operator", "bank__pay")


async def test_a_cap_has_room_again_right_after_a_rollback(bench: Bench) -> None:
    await cite(bench)
    name = await abandoned_too(bench)
    assert (await cite(bench)).fields["outcome"] == "block"
    await operator(bench, "judge_settle", reservation=name, actual=0)
    assert (await cite(bench)).fields["outcome"] == "allow"
    assert (await cite(bench)).fields["outcome"] == "block"


async def abandoned_too(bench: Bench) -> str:
    name: str = (await cite(bench)).fields["reservation"]
    turn(bench, 120)
    return name


async def test_the_doctor_names_what_waits_with_the_command_that_reconciles_it(bench: Bench) -> None:
    name: str = (await cite(bench)).fields["reservation"]
    turn(bench, 120)
    for _ in range(2):  # before anybody noticed that its time is over, and after
        [finding] = await waiting(bench)
        stated = json.dumps({"reservation": name, "actual": 0.25})
        command = f"mcp-host call judge_settle '{stated}' --role operator --agent harbor"
        assert finding["fix"].endswith(command)
        assert "bank__pay" in finding["message"]
        await host(bench, "judge_budget")
    await operator(bench, "judge_settle", reservation=name, actual=0.25)
    assert await waiting(bench) == []


async def waiting(bench: Bench) -> list[dict[str, Any]]:
    report = await operator(bench, "judge_doctor")
    return [found for found in report.fields["findings"] if found["check"] == "judge_external_unverified"]


async def test_a_ledger_made_again_from_the_log_knows_what_waits_and_what_was_reconciled(bench: Bench) -> None:
    done = await abandoned(bench)
    await operator(bench, "judge_settle", reservation=done, actual=0.1)
    left = await abandoned_too(bench)
    await host(bench, "judge_budget")
    (bench.root / "_fleet/budgets/harbor.json").unlink()
    await host(bench, "judge_budget")
    assert await spent_today(bench) == (0.35, 0.0)
    assert [left in finding["fix"] for finding in await waiting(bench)] == [True]
    assert (await operator(bench, "judge_settle", reservation=done, actual=0.2)).code == "conflict"


async def test_a_reconciling_that_was_cut_off_is_finished_by_doing_it_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await abandoned(bench)
    with monkeypatch.context() as dying:
        ledgers = Ledgers.change_now

        def die(self: Ledgers, agent: str, work: Any) -> Any:
            if events(bench, "budget.correct"):
                raise Unavailable("killed")
            return ledgers(self, agent, work)

        dying.setattr(Ledgers, "change_now", die)
        assert (await operator(bench, "judge_settle", reservation=name, actual=0.1)).code == "unavailable"
    assert (await operator(bench, "judge_settle", reservation=name, actual=0.2)).code == "conflict"
    assert (await operator(bench, "judge_settle", reservation=name, actual=0.1)).fields["usd"] == 0.1
    assert await spent_today(bench) == (0.1, 0.0)
    assert len(events(bench, "budget.correct")) == 1


async def test_the_holder_that_was_slow_and_not_dead_verifies_it_itself(bench: Bench) -> None:
    name = await abandoned(bench)
    assert (await host(bench, "judge_settle", reservation=name, actual=0.25)).fields["usd"] == 0.25
    assert await waiting(bench) == []
    [corrected] = events(bench, "budget.correct")
    assert "reconciled" not in corrected
