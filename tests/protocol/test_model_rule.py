"""The model that ``policy.md`` rules is the model of a run, whatever its own file or a caller says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from fleet_fixtures import Recorder, Scripted, make_vault, says

from argosy_core.policy.model_md import parse_model
from argosy_host.providers.choosing import choose_model
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
