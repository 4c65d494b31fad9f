"""What a model says of its calls reaches whoever judges them: mandates, judging models, people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from fleet_fixtures import Recorder, Scripted, calls, config_for, make_vault, says
from foreign_servers import named

from argosy_core.views.vault_reader import VaultReader
from argosy_host.foreign import named_servers
from argosy_host.gating.statements import NAME, TARGET
from argosy_host.runs import RunResult
from argosy_host.session import RunOptions, run_task
from argosy_host.trust import Approvals, state_folder

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("own_state")]
ECHO = """
from mcp.server import MCPServer
server = MCPServer("x", log_level="ERROR")
@server.tool()
async def post(recipient: str) -> str:
    return f"posted to {recipient}"
server.run()
"""
MANDATE = """# Mandates

## pay-rent

```yaml
granted_by: marit
granted_at: 2026-11-01
scope: rent
revocation_state: active
expires_at: 2999-01-01
constraints:
  allowed_tools: [bank__post]
  allowed_targets: [{kind: recipient, value: landlord}]
```
"""
CITED = {"authorization": {"granted_by": "mandate:pay-rent"}, "reason": "The rent is due."}
PAY = ("bank__post", {"recipient": "landlord"})


def with_bank(tmp_path: Path, **files: str) -> Path:
    script = tmp_path / "bank.py"
    script.write_text(ECHO, encoding="utf-8")
    files_named = {name.replace("__", "/") + ".md": text for name, text in files.items()}
    vault = make_vault(tmp_path / "v", {"ada/mcp.md": named("bank", script), **files_named})
    config = config_for(vault)
    for server in named_servers(VaultReader(config.store.files), "ada"):
        Approvals(state_folder()).approve(config.store.root, server.digest)
    config.store.close()
    return vault


async def run(vault: Path, *wanted: tuple[str, dict[str, Any]]) -> tuple[RunResult, Scripted]:
    model = Scripted([calls(*wanted), says("done")])
    options = RunOptions(vault=vault, agent="ada", task="Pay", model="offline", profile="full")
    with anyio.fail_after(60):
        return await run_task(options, Recorder(), model=lambda: model), model


def judgments(vault: Path) -> list[dict[str, Any]]:
    files = sorted((vault / "ada/log").rglob("*.jsonl"))
    lines = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["kind"] == "judgment"]


async def test_a_run_cites_a_mandate_for_the_call_beside_it(tmp_path: Path) -> None:
    vault = with_bank(tmp_path, ada__mandates=MANDATE)

    result, model = await run(vault, PAY, (NAME, {TARGET: "bank__post", **CITED}))

    assert (result.status, [t.verdict for t in result.tools]) == ("ok", ["allow"])
    assert model.returned() == ["posted to landlord", "said of bank__post"]
    [event] = judgments(vault)
    assert event["proposal"]["reason"] == "The rent is due."
    assert event["proposal"]["authorization"] == CITED["authorization"]
    assert NAME in {tool.name for tool in model.requests[0].tools}


async def test_a_list_that_stops_a_call_is_in_the_event_of_its_judgment(tmp_path: Path) -> None:
    vault = with_bank(tmp_path, policy="## Tools\n\n- deny: bank__*\n")

    _, model = await run(vault, PAY)

    assert model.returned() == ["blocked: policy.md denies the tool bank__post"]
    [event] = judgments(vault)
    assert event["policy_decision"] == {
        "decision_kind": "deny", "denying_layer": "policy", "axis": "tool_allowlist", "attempted_value": "bank__post",
        "tool_name": "bank__post", "mcp_server_name": "bank", "enforced": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ([PAY], "deferred"),  # nothing cited: a person decides
        ([("bank__post", {"recipient": "casino"}), (NAME, {TARGET: "bank__post", **CITED})], "ok"),  # outside it
        ([PAY, (NAME, {TARGET: "bank__post", **CITED}), (NAME, {TARGET: "bank__post", **CITED})], "ok"),
        ([PAY, (NAME, {TARGET: "memory_write", **CITED})], "deferred"),  # said of no call of this turn
        ([PAY, (NAME, {TARGET: "bank__post", "authorization": {"granted_by": "mandate:other"}})], "ok"),
        ([PAY, (NAME, {TARGET: "bank__post", "authorization": {"granted_by": "operator"}})], "deferred"),
        ([PAY, (NAME, {TARGET: "bank__post", "evidence": "none"})], "ok"),
    ],
)
async def test_what_is_not_bound_or_not_granted_permits_nothing(tmp_path: Path, wanted: Any, status: str) -> None:
    result, model = await run(with_bank(tmp_path, ada__mandates=MANDATE), *wanted)
    assert result.status == status
    assert not any(use.verdict == "allow" for use in result.tools)
    if status == "ok":
        assert model.returned()[0].startswith("blocked:")


async def test_a_person_who_is_asked_reads_what_was_said(tmp_path: Path) -> None:
    vault = with_bank(tmp_path, ada__mandates=MANDATE)
    said = {TARGET: "bank__post", "reason": "The rent is due."}
    result, _ = await run(vault, PAY, (NAME, said))
    [file] = (vault / "ada/vault/escalations").rglob(f"{result.questions[0]}.md")
    assert "The rent is due." in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("files", "is_offered"),
    [
        ({}, False),
        ({"judges": "## Class policy\n\n- reversible_write: judge_required\n"}, False),
        ({"mandates": MANDATE}, True),
        ({"judges": "## Default judge\n\n- backend: llm\n- model: gpt-x\n"}, True),
        ({"ada__judges": "```yaml\nspecialist_composition: {privacy: llm}\nmodel: gpt-x\n```\n"}, True),
    ],
)
async def test_it_is_offered_only_where_somebody_hears_it(
    tmp_path: Path, files: dict[str, str], is_offered: bool
) -> None:
    vault = make_vault(tmp_path / "v", {name.replace("__", "/") + ".md": text for name, text in files.items()})
    _, model = await run(vault, (NAME, {TARGET: "memory_write"}))
    assert (NAME in {tool.name for tool in model.requests[0].tools}) == is_offered
    assert model.returned()[0].startswith("invalid_argument:" if is_offered else "not_found:")
