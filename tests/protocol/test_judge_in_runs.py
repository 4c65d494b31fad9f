"""A run whose judge is a model: the host makes its completion, over the wire, and nothing of the run goes with it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from chat_api import chat
from fleet_fixtures import Recorder, Scripted, Step, calls, make_vault, says
from judges import verdict
from messages_api import Api, Failure, Raw, Silence, messages_api

from argosy_core.errors import Unavailable
from argosy_core.types import Role
from argosy_host.compose import Fleet
from argosy_host.direct import call_tool
from argosy_host.results import CallOutcome
from argosy_host.runs import Limits, RunResult
from argosy_host.session import RunOptions, run_task

pytestmark = pytest.mark.anyio

NOTE = {"type": "decision", "title": "Bell rope", "body": "The bell rope is renewed every spring.", "sources": ["me"]}
WRITTEN = "ada/memory/decision_bell_rope.md"
JUDGE = "## Default judge\n\n- backend: llm\n- model: other-family-1\n"
REQUIRED = JUDGE + "\n## Class policy\n\n- reversible_write: judge_required\n"


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


async def run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    policy: str,
    replies: Sequence[Raw | Failure | Silence],
    steps: Sequence[Step] | None = None,
    files: Mapping[str, str] | None = None,
) -> tuple[RunResult, Scripted, Api]:
    """A run of one write (or of *steps*) under *policy*, with a judge's model that answers *replies*."""
    vault = make_vault(tmp_path / "vault", {"judges.md": policy, **(files or {})})
    model = Scripted(steps or [calls(("memory_write", NOTE)), says("Done.")])
    server = messages_api(replies)
    api = await anyio.to_thread.run_sync(server.__enter__)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{api.url}/v1")
    try:
        options = RunOptions(vault=vault, agent="ada", task="Look after the lamp", model="offline", limits=Limits())
        with anyio.fail_after(30):
            return await run_task(options, Recorder(), model=lambda: model), model, api
    finally:
        await anyio.to_thread.run_sync(server.__exit__, None, None, None)


def judgments(tmp_path: Path) -> list[dict[str, Any]]:
    files = sorted((tmp_path / "vault/ada/log").rglob("*.jsonl"))
    lines = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    whole = [line for line in lines if line["kind"] == "judgment"]
    return [line for line in whole if line["enforcement_action"] != "allow_pending_next_judge"]


def says_verdict(outcome: str, reason: str = "because", **more: Any) -> Raw:
    return chat(json.dumps(verdict(outcome, reason, **more)), model="other-family-1")


@pytest.mark.parametrize(("outcome", "status"), [("allow", "ok"), ("block", "ok"), ("escalate", "deferred")])
async def test_the_models_verdict_is_what_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: str, status: str
) -> None:
    result, _, api = await run(tmp_path, monkeypatch, REQUIRED, [says_verdict(outcome, "it is so")])
    assert result.status == status
    assert (tmp_path / "vault" / WRITTEN).exists() == (outcome == "allow")
    [event] = judgments(tmp_path)
    assert event["judgment"]["outcome"] == outcome
    assert "it is so" in event["judgment"]["reason"]
    assert (event["cost_source"], event["cost_usd"] > 0) == ("judge", True)
    [request] = api.requests
    assert (request.body["model"], request.body["temperature"]) == ("other-family-1", 0.0)


async def test_what_the_judge_costs_is_in_its_own_ledger_and_not_in_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, _, _ = await run(tmp_path, monkeypatch, REQUIRED, [says_verdict("allow")])
    [event] = judgments(tmp_path)
    found: dict[str, float] = {}
    for scope in ("judge", "actor"):
        budget = await call_tool(
            "judge", "judge_budget", {"scope": scope}, vault=tmp_path / "vault", agent="ada", role=Role.OPERATOR
        )
        found[scope] = next((line["spent"] for line in (budget.structured or {})["items"]), 0.0)
    assert found["judge"] == pytest.approx(event["cost_usd"])
    assert found["actor"] == pytest.approx(result.cost_usd)
    assert result.usage.input_tokens == 20  # two turns of the scripted actor, nothing of the judge's


async def test_the_judges_budget_ends_the_asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = REQUIRED + "\n## Budget\n\n- daily_usd: 0.01\n- per_action_usd: 0.02\n"
    _, model, api = await run(tmp_path, monkeypatch, policy, [])
    assert api.requests == []
    assert "JudgeBudgetExhausted" in model.returned()[0]


FAILURES: dict[str, tuple[str, list[Any], str]] = {
    "nonsense": (REQUIRED, [chat("Sure, go ahead!")], "no verdict"),
    "nothing": (REQUIRED, [chat("")], "no verdict"),
    "a refused key": (REQUIRED, [Failure(401)], "refused the key"),
    "an unknown model": (REQUIRED, [Failure(404, message="no such model")], "no such model"),
    "a cut reply": (REQUIRED, [chat('{"verdicts": {}}', sent=2, cut=True)], "cut off"),
    "silence": (REQUIRED.replace("other-family-1\n", "other-family-1\n- timeout_ms: 200\n"), [Silence()], "200 ms"),
    "no language model": (REQUIRED.replace("other-family-1", "offline"), [], "no language model"),
}


@pytest.mark.parametrize("case", FAILURES)
async def test_a_judge_that_fails_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    policy, replies, why = FAILURES[case]
    _, model, _ = await run(tmp_path, monkeypatch, policy, replies)
    assert not (tmp_path / "vault" / WRITTEN).exists()
    assert "JudgeUnavailable" in model.returned()[0]
    assert why in model.returned()[0]


async def test_the_failure_policy_says_what_a_failure_becomes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = REQUIRED + "\n## Failure policy\n\n- JudgeUnavailable: escalate\n"
    result, _, _ = await run(tmp_path, monkeypatch, policy, [chat("?")])
    assert (result.status, len(result.questions)) == ("deferred", 1)


async def test_nothing_of_the_run_or_of_how_the_judge_is_run_reaches_its_prompt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, *hidden = (uuid.uuid4().hex for _ in range(6))
    policy = (
        "```yaml\nbackend: llm\nmodel: other-family-1\ntimeout_ms: 4711\n"
        f"budget: {{daily_usd: 47.11, per_action_usd: 0.4711}}\nescalation: {{operator_notification: {hidden[0]}}}\n"
        "class_policy: {reversible_write: judge_required}\nfailure_policy: {JudgeUnavailable: escalate}\n```\n"
    )
    files = {
        "ada/tools.md": f"## Write paths\n\n- `memory/`\n\n## Hard NOs\n\n- {seen}\n",
        "ada/memory/user_keeper.md": f"---\ntype: user\n---\n{hidden[1]}\n",
        "ada/journal/2026-11/2026-11-02.md": f"# 2026-11-02\n\n## 08:10\n{hidden[2]}\n",
        "ada/model.md": f"# Model\n\n{hidden[3]}\n",
    }
    monkeypatch.setenv("ARGOSY_SECRET_DOOR", hidden[4])
    result, _, api = await run(tmp_path, monkeypatch, policy, [says_verdict("allow")], files=files)
    [request] = api.requests
    sent = json.dumps(request.body)
    assert seen in sent, "the canary would not be seen"
    told = (
        *hidden,
        "4711",
        "47.11",
        "failure_policy",
        "daily_usd",
        "Look after the lamp",
        result.run,
        "judge_captures",
    )
    assert [mark for mark in told if mark in sent] == []
    assert not {"tools", "metadata", "user"} & request.body.keys()


READING = [calls(("memory_search", {"query": "lamp"})), says("It burns.")]
SHADOW = JUDGE + "\n## Audit\n\n- read_audit_mode: true\n"


@pytest.mark.parametrize("reply", [says_verdict("block", "too curious"), chat("nonsense"), Failure(500)])
async def test_in_shadow_mode_reading_is_judged_logged_and_never_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: Raw | Failure
) -> None:
    replies = [reply] * (5 if isinstance(reply, Failure) else 1)
    policy = SHADOW if isinstance(reply, Raw) else SHADOW.replace("- model", "- timeout_ms: 300\n- model")
    result, model, _ = await run(tmp_path, monkeypatch, policy, replies, READING)
    assert result.status == "ok"
    assert "rapeseed" in model.returned()[0]
    [event] = judgments(tmp_path)
    assert (event["enforcement_action"], event["raw_outcome"]) == ("audit_bypass", "block")
    assert event["judgment"]["outcome"] == "allow"


async def test_shadow_mode_stops_no_reading_even_when_the_policy_cannot_be_judged_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = "## Class policy\n\n- read_only: escalate\n\n## Audit\n\n- read_audit_mode: true\n"
    result, _, _ = await run(tmp_path, monkeypatch, policy, [], READING)
    assert result.status == "ok"
    [event] = judgments(tmp_path)
    assert (event["enforcement_action"], event["raw_outcome"]) == ("audit_bypass", "escalate")


async def test_without_shadow_mode_reading_is_neither_judged_nor_logged_as_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run(tmp_path, monkeypatch, JUDGE, [], READING)
    assert judgments(tmp_path) == []


async def test_shadow_mode_lets_no_write_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = SHADOW + "\n## Class policy\n\n- reversible_write: judge_required\n"
    await run(tmp_path, monkeypatch, policy, [says_verdict("block")])
    assert not (tmp_path / "vault" / WRITTEN).exists()


async def test_shadow_mode_stops_no_reading_when_the_judge_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = Fleet.call

    async def away(fleet: Fleet, tool: str, *rest: Any, **more: Any) -> CallOutcome:
        if tool == "judge_evaluate":
            raise Unavailable("judge broke off")
        return await called(fleet, tool, *rest, **more)

    monkeypatch.setattr(Fleet, "call", away)
    result, model, _ = await run(tmp_path, monkeypatch, SHADOW, [], READING)
    assert (result.status, "rapeseed" in model.returned()[0]) == ("ok", True)
    [event] = judgments(tmp_path)
    assert (event["enforcement_action"], event["raw_outcome"]) == ("audit_bypass", "block")
