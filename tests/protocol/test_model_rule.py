"""The model that ``policy.md`` rules is the model of a run, whatever its own file or a caller says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from fleet_fixtures import Recorder, Scripted, make_vault, says

from argosy_core.policy.grants import Grant
from argosy_core.policy.model_md import parse_model
from argosy_core.policy.model_names import is_same_model
from argosy_core.types import Role
from argosy_host.direct import call_tool
from argosy_host.providers.choosing import choose_model
from argosy_host.purse import Purse, inherited
from argosy_host.runs import RunResult
from argosy_host.session import RunOptions, run_task

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("own_state")]
POLICY = "---\nmodel: ruled-one\nagents:\n  bert:\n    model: berts-own\n---\n"
BERT = {"bert/model.md": "# Model\n", "bert/persona/IDENTITY.md": "# Bert\n"}


async def started(vault: Path, agent: str = "ada", model: str | None = "asked-for") -> dict[str, Any]:
    """The start of a run in the log, whose model name every turn had too."""
    scripted = Scripted([says("Done.")])
    with anyio.fail_after(30):
        options = RunOptions(vault=vault, agent=agent, task="Look after the lamp", model=model)
        await run_task(options, Recorder(), model=lambda: scripted)
    files = (vault / agent / "log").rglob("*.jsonl")
    lines = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    start = next(line for line in lines if line["kind"] == "run.start")
    assert {request.model for request in scripted.requests} <= {start["model"]}
    return start


async def test_the_fleets_model_takes_the_place_of_the_one_asked_for_and_the_log_says_so(tmp_path: Path) -> None:
    start = await started(make_vault(tmp_path / "vault", {"policy.md": POLICY}))
    assert start["model"] == "ruled-one"
    decision = start["policy_decision"]
    assert decision["decision_kind"] == "override" and decision["axis"] == "model_selection"
    assert (decision["attempted_value"], decision["model_from_policy"]) == ("asked-for", "ruled-one")
    assert decision["model_from_per_call"] == "asked-for" and decision["enforced"] is True


async def test_an_agents_entry_comes_before_the_fleets(tmp_path: Path) -> None:
    start = await started(make_vault(tmp_path / "vault", {"policy.md": POLICY, **BERT}), agent="bert")
    assert start["model"] == "berts-own"


@pytest.mark.parametrize("policy", ["", "---\nmodel: asked-for\n---\n", "---\nmodel: [broken\n---\n"])
async def test_without_a_rule_or_with_the_same_model_nothing_is_decided(tmp_path: Path, policy: str) -> None:
    start = await started(make_vault(tmp_path / "vault", {"policy.md": policy} if policy else None))
    assert start["model"] == "asked-for" and "policy_decision" not in start


def test_a_rule_holds_where_its_model_cannot_be_reached_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    file = parse_model("# Model\n")
    assert choose_model(None, file, "claude-ruled") == ("claude-ruled", "anthropic")
    assert choose_model("offline", file, "claude-ruled") == ("claude-ruled", "anthropic")
    assert choose_model("offline", file) == ("offline", "offline")


# A cap that falls back

CAPPED = """# Model

## Fallback

`{fallback}`

## Cost guardrails

```yaml
cost_guardrails: {{enabled: true, daily_cap_usd: 0.0001, daily_cap_action: fallback}}
```
"""
SONNET, HAIKU = "claude-sonnet-5", "claude-haiku-4-5"


async def capped(
    vault: Path, policy: str, fallback: str = HAIKU, grant: Grant | None = None
) -> tuple[RunResult, list[str], list[dict[str, Any]]]:
    """What came of a run whose cap is used up, the models it asked, and what is in the log."""
    make_vault(vault, {"ada/model.md": CAPPED.format(fallback=fallback), **({"policy.md": policy} if policy else {})})
    scripted = Scripted([says("Done.")])
    purse = Purse(inherited(grant)) if grant else None
    options = RunOptions(vault=vault, agent="ada", task="Look after the lamp", model=SONNET, purse=purse)
    with anyio.fail_after(30):
        result = await run_task(options, Recorder(), model=lambda: scripted)
    return result, [request.model for request in scripted.requests], logged(vault)


def logged(vault: Path) -> list[dict[str, Any]]:
    files = sorted((vault / "ada" / "log").rglob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


async def test_a_cap_does_not_fall_back_on_a_model_that_is_not_the_ruled_one(tmp_path: Path) -> None:
    result, asked, events = await capped(tmp_path / "v", f"---\nmodel: {SONNET}\n---\n")
    assert (result.status, asked) == ("budget", [])
    assert result.error is not None
    assert f"fallback {HAIKU} is not taken, because policy.md rules the model {SONNET} for ada" in str(result.error)
    assert f"raise the cap, or let policy.md rule {HAIKU} for ada, or no model" in str(result.error)
    assert [event["kind"] for event in events if event["kind"] in ("model.fallback", "model.call")] == []
    [decision] = [event["policy_decision"] for event in events if event["kind"] == "budget.refused"]
    assert (decision["decision_kind"], decision["denying_layer"]) == ("deny", "model_md")
    assert (decision["model_from_policy"], decision["model_from_model_md"]) == (SONNET, HAIKU)


@pytest.mark.parametrize(
    "policy",
    ["", "---\ncost_caps: {daily_usd: 5}\n---\n", "---\nagents:\n  bert:\n    model: berts-own\n---\n"],
)
async def test_where_no_model_is_ruled_for_the_agent_its_cap_falls_back(tmp_path: Path, policy: str) -> None:
    result, asked, _ = await capped(tmp_path / "v", policy)
    assert (result.status, asked) == ("ok", [HAIKU])


@pytest.mark.parametrize("fallback", [HAIKU, f"anthropic/{HAIKU}"])
@pytest.mark.parametrize("ruled", [HAIKU, f"anthropic/{HAIKU}"])
async def test_a_ruled_model_that_is_the_fallback_goes_on_past_its_cap(
    tmp_path: Path, ruled: str, fallback: str
) -> None:
    result, asked, events = await capped(tmp_path / "v", f"---\nmodel: {ruled}\n---\n", fallback)
    assert (result.status, asked) == ("ok", [HAIKU])
    assert [event for event in events if event["kind"] in ("budget.refused", "model.fallback")] == []


async def test_a_cap_does_not_fall_back_on_a_model_that_the_runs_grant_does_not_hold(tmp_path: Path) -> None:
    result, asked, _ = await capped(tmp_path / "v", "", grant=Grant(models=frozenset({"claude-sonnet-*"})))
    assert (result.status, asked) == ("budget", [])
    assert result.error is not None and "the run's grant does not hold that model" in str(result.error)
    result, asked, _ = await capped(tmp_path / "w", "", grant=Grant(models=frozenset({"claude-*"})))
    assert (result.status, asked) == ("ok", [HAIKU])


@pytest.mark.parametrize(("ruled", "warned"), [(SONNET, True), (HAIKU, False)])
async def test_the_doctor_names_a_fallback_that_would_never_be_taken(tmp_path: Path, ruled: str, warned: bool) -> None:
    files = {"ada/model.md": CAPPED.format(fallback=HAIKU), "policy.md": f"---\nmodel: {ruled}\n---\n"}
    vault = make_vault(tmp_path / "v", files)
    found = await call_tool("judge", "judge_doctor", {}, vault=vault, agent="ada", role=Role.OPERATOR)
    assert found.structured is not None
    named = [finding for finding in found.structured["findings"] if finding["check"] == "judge_fallback"]
    assert bool(named) == warned and all(HAIKU in finding["fix"] for finding in named)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("m", "m", True),
        ("m", "n", False),
        ("anthropic/m", "m", True),
        ("anthropic/m", "openai/m", False),
        ("vendor/m", "m", False),
        ("M", "m", False),
    ],
)
def test_a_provider_that_only_one_states_makes_no_other_model(left: str, right: str, same: bool) -> None:
    assert is_same_model(left, right) is is_same_model(right, left) is same
