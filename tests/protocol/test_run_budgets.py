"""What a run spends is set aside before and settled after; a cap holds whatever the run, its failures or its rivals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from fleet_fixtures import Recorder, Scripted, calls, make_vault, says
from foreign_servers import named

from argosy_core.errors import DeadlineExceeded, Unauthenticated, Unavailable
from argosy_core.policy.grants import Grant, Limits
from argosy_core.types import Role
from argosy_host.direct import call_tool
from argosy_host.providers.base import ModelReply, ModelRequest, Usage
from argosy_host.purse import Purse, inherited
from argosy_host.runs import RunResult
from argosy_host.session import RunOptions, run_task

pytestmark = pytest.mark.anyio

SMALL = Usage(1000, 100)
MODEL = "claude-sonnet-5"
NOTE = {"type": "decision", "title": "Bell rope", "body": "Renewed.", "sources": ["me"]}
GUARDED = """# Model

## Fallback

`claude-haiku-4-5`

## Cost guardrails

```yaml
cost_guardrails:
  enabled: true
  daily_cap_usd: {cap}
  daily_cap_action: {action}
```
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def reply(text: str = "ok", usage: Usage = SMALL, model: str = MODEL) -> ModelReply:
    return ModelReply(text=text, calls=(), stop="end_turn", usage=usage, model=model)


def as_asked(request: ModelRequest) -> ModelReply:
    return reply(model=request.model)


async def run(vault: Path, *steps: Any, model: str = MODEL) -> tuple[RunResult, Scripted, Recorder]:
    played, recorder = Scripted(steps), Recorder()
    options = RunOptions(vault=vault, agent="ada", task="Look after the lamp", model=model)
    with anyio.fail_after(30):
        return await run_task(options, recorder, model=lambda: played), played, recorder


def events(vault: Path, kind: str) -> list[dict[str, Any]]:
    files = sorted((vault / "ada" / "log").rglob("*.jsonl"))
    lines = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["kind"] == kind]


async def budget(vault: Path, scope: str = "actor") -> Mapping[str, Any]:
    arguments = {"scope": scope}
    outcome = await call_tool("judge", "judge_budget", arguments, vault=vault, agent="ada", role=Role.OPERATOR)
    assert outcome.structured is not None, outcome.text
    nothing = {"spent": 0, "outstanding": 0}
    return next((item for item in outcome.structured["items"] if item["period"] == "day"), nothing)


async def test_a_model_call_is_set_aside_at_an_estimate_and_settled_at_what_it_cost(tmp_path: Path) -> None:
    vault = make_vault(tmp_path / "v")

    result, _, _ = await run(vault, as_asked)

    aside, settled, called = (events(vault, kind)[0] for kind in ("budget.reserve", "budget.settle", "model.call"))
    assert aside["estimate"][0] > settled["actual"][0] == round(called["cost_usd"] * 1e9) > 0
    assert (settled["actual"][1], aside["model"]) == (1100, MODEL)
    assert events(vault, "budget.refused") == []
    spent = await budget(vault)
    assert (spent["spent"], spent["outstanding"]) == (pytest.approx(result.cost_usd), 0)


async def test_a_cap_that_skips_ends_the_run_before_the_model_is_asked(tmp_path: Path) -> None:
    vault = make_vault(tmp_path / "v", {"ada/model.md": GUARDED.format(cap=0.0001, action="skip")})

    result, model, _ = await run(vault, as_asked)

    assert (result.status, model.requests) == ("budget", [])
    assert result.error is not None and "ada/model.md" in result.error.message
    assert events(vault, "model.call") == []
    [refused] = events(vault, "budget.refused")
    assert (refused["writer"], refused["policy_decision"]["denying_layer"]) == ("judge", "model_md")


@pytest.mark.parametrize(
    ("limits", "dimension", "cap"),
    [(Limits(usd_run=1_000), "cumulative_usd", 0.000001), (Limits(tokens_run=500), "cumulative_tokens", 500)],
)
async def test_a_grant_that_is_used_up_ends_the_run_and_is_told_once(
    tmp_path: Path, limits: Limits, dimension: str, cap: float
) -> None:
    vault = make_vault(tmp_path / "v")
    options = RunOptions(
        vault=vault, agent="ada", task="t", model=MODEL, purse=Purse(inherited(Grant(limits=limits))).below("run")
    )
    with anyio.fail_after(30):
        result = await run_task(options, Recorder(), model=lambda: Scripted([]))

    assert (result.status, events(vault, "budget.reserve")) == ("budget", [])
    [refused] = events(vault, "budget.refused")
    decision = refused["policy_decision"]
    assert (decision["denying_layer"], decision["axis"], decision["cap_dimension"]) == (
        "per_call",
        "cost_cap",
        dimension,
    )
    assert decision["attempted_value"] > decision["effective_cap"] == cap
    assert (refused["run_id"], refused["model"], refused["error"]) == (result.run, MODEL, "budget_exhausted")


async def test_a_cap_that_falls_back_goes_on_with_the_cheaper_model(tmp_path: Path) -> None:
    vault = make_vault(tmp_path / "v", {"ada/model.md": GUARDED.format(cap=0.0001, action="fallback")})

    result, model, recorder = await run(vault, as_asked)

    assert result.status == "ok"
    assert [request.model for request in model.requests] == ["claude-haiku-4-5"]
    assert result.model == "claude-haiku-4-5"
    assert events(vault, "model.fallback")[0]["instead_of"] == MODEL
    assert any("claude-haiku-4-5" in problem for problem in recorder.problems)


async def test_a_cap_that_alerts_says_so_and_goes_on(tmp_path: Path) -> None:
    vault = make_vault(tmp_path / "v", {"ada/model.md": GUARDED.format(cap=0.0001, action="alert")})

    result, model, recorder = await run(vault, calls(("memory_list", {})), as_asked)

    assert result.status == "ok" and len(model.requests) == 2
    assert any("over its cap" in problem for problem in recorder.problems), recorder.problems


async def test_a_threshold_is_warned_of_once_a_period(tmp_path: Path) -> None:
    vault = make_vault(tmp_path / "v", {"policy.md": "## Cost caps\n\n- daily_usd: 0.5\n"})
    dear = reply(usage=Usage(150_000, 0))

    await run(vault, dear)
    await run(vault, as_asked)
    await run(vault, as_asked)

    assert [event["threshold"] for event in events(vault, "budget.warning")] == [0.5]


async def test_an_unknown_model_is_priced_at_the_dearest_rate_and_flagged(tmp_path: Path) -> None:
    vault = make_vault(tmp_path / "v")

    await run(vault, reply(model="who-knows-1"), model="who-knows-1")
    await run(vault, as_asked)

    unknown, known = events(vault, "model.call")
    assert unknown["cost_usd"] > known["cost_usd"]
    assert unknown["cost_estimated_via_fallback"] is True and "cost_estimated_via_fallback" not in known


@pytest.mark.parametrize(
    ("error", "is_billed"),
    [
        (Unauthenticated("no such key", hint="set it"), False),
        (Unavailable("overloaded", status=529), False),
        (Unavailable("cut off", received_characters=400), True),
        (DeadlineExceeded("no answer"), True),
    ],
    ids=str,
)
async def test_a_failed_call_logs_what_it_spent(tmp_path: Path, error: Exception, is_billed: bool) -> None:
    vault = make_vault(tmp_path / "v")

    result, _, _ = await run(vault, error)

    assert result.status == "error"
    failed = events(vault, "model.call")[0]
    assert (failed["status"], failed["cost_usd"] > 0) == ("error", is_billed)
    spent = await budget(vault)
    assert (spent["spent"], spent["outstanding"]) == (pytest.approx(failed["cost_usd"], abs=1e-6), 0)
    assert result.cost_usd == pytest.approx(failed["cost_usd"], abs=1e-6)


async def test_a_call_that_is_interrupted_is_settled_at_its_estimate(tmp_path: Path) -> None:
    vault = make_vault(tmp_path / "v")

    class Stuck(Scripted):
        async def complete(self, request: ModelRequest, on_text: Any = None) -> ModelReply:
            scope.cancel()
            await anyio.sleep_forever()
            raise AssertionError

    options = RunOptions(vault=vault, agent="ada", task="t", model=MODEL)
    with anyio.CancelScope() as scope:
        await run_task(options, Recorder(), model=lambda: Stuck([]))

    aside, settled = events(vault, "budget.reserve")[0], events(vault, "budget.settle")[0]
    assert aside["estimate"] == settled["actual"]


async def test_runs_at_the_same_time_never_pass_a_cap_by_a_cent(tmp_path: Path) -> None:
    vault = make_vault(tmp_path / "v", {"policy.md": "## Cost caps\n\n- daily_usd: 0.4\n"})
    results: list[RunResult] = []

    def dear(request: ModelRequest) -> ModelReply:
        return reply(usage=Usage(20_000, 1_000))

    async def one() -> None:
        results.append((await run(vault, dear))[0])

    async with anyio.create_task_group() as tasks:
        for _ in range(12):
            tasks.start_soon(one)

    assert {result.status for result in results} == {"ok", "budget"}
    assert sum(result.cost_usd for result in results) <= 0.4
    assert (await budget(vault))["spent"] <= 0.4


# Costly tools

BANK = """
from mcp.server import MCPServer
server = MCPServer("x", log_level="ERROR")
@server.tool()
async def pay(to: str) -> dict[str, object]:
    if to == "nobody":
        raise ValueError("no such account")
    return {"to": to} if to.startswith("quiet") else {"to": to, "external_cost_usd": 0.2}
server.run()
"""


def bank(tmp_path: Path) -> Path:
    script = tmp_path / "bank.py"
    script.write_text(BANK, encoding="utf-8")
    tools = "## Tool classification\n\n- bank__pay: reversible_write\n\n## Tool costs\n\n- bank__pay: 0.25\n"
    files = {
        "ada/mcp.md": named("bank", script),
        "ada/tools.md": tools,
        "policy.md": "## Cost caps\n\n- daily_usd: 0.6\n",
    }
    vault = make_vault(tmp_path / "v", files)
    approve(vault)
    return vault


def approve(vault: Path) -> None:
    from argosy_core.vault import Vault
    from argosy_core.views.vault_reader import VaultReader
    from argosy_host.foreign import named_servers
    from argosy_host.trust import Approvals, state_folder

    opened = Vault(vault)
    for server in named_servers(VaultReader(opened), "ada"):
        Approvals(state_folder()).approve(opened.root, server.digest)
    opened.close()


def external(vault: Path) -> list[float]:
    return [event["actual"][0] / 1e9 for event in events(vault, "budget.settle") if event["actual"][0] > 1e7]


async def test_a_costly_call_is_settled_at_what_the_tool_says_else_at_the_estimate(tmp_path: Path) -> None:
    vault = bank(tmp_path)
    pays = calls(("bank__pay", {"to": "landlord"}), ("bank__pay", {"to": "quiet"}), ("bank__pay", {"to": "landlord"}))

    result, model, _ = await run(vault, pays, says("ok"), model="offline")

    assert [t.verdict for t in result.tools] == ["allow", "allow", "block"]
    assert external(vault) == [0.2, 0.25]
    assert "0.6" in model.returned()[2]


async def test_an_approved_costly_call_is_held_to_the_caps_when_it_runs(tmp_path: Path) -> None:
    vault = bank(tmp_path)
    (vault / "judges.md").write_text("## Class policy\n\n- reversible_write: escalate\n", encoding="utf-8")
    pays = calls(*(("bank__pay", {"to": f"quiet{n}"}) for n in range(4)))
    first, _, _ = await run(vault, pays, model="offline")
    decide = partial(call_tool, "desk", "desk_answer", vault=vault, agent="ada", role=Role.OPERATOR)
    for question in first.questions:
        await decide({"question": question, "choice": "approve"})

    _, model, _ = await run(vault, says("ok"), model="offline")

    assert sum(external(vault)) <= 0.6 and len(external(vault)) == 2
    assert model.requests[0].system[-1].text.count("approved and done") == 2
