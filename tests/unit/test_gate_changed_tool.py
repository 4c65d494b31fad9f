"""A tool that changes while its call is judged: what was judged is not what would run, so it is judged again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from argosy_core.canonical import arguments_hash
from argosy_core.secrets.secret_store import open_secrets
from argosy_core.testing.fakes import FakeClock
from argosy_core.types import ActionClass, Role
from argosy_core.vault import Vault
from argosy_core.views.vault_reader import VaultReader
from argosy_host.catalog import ToolInfo
from argosy_host.compose import Fleet
from argosy_host.gate import MAX_JUDGED, Gate
from argosy_host.progress import Progress
from argosy_host.providers.base import ToolCall
from argosy_host.results import CallOutcome
from argosy_host.runs import Run

pytestmark = pytest.mark.anyio

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}}
SHOUT = ToolInfo(
    "echo__shout", "shout", "echo", False, "", SCHEMA, ActionClass.EXTERNAL_SIDE_EFFECT, Role.AGENT, True, "first"
)


@dataclass(slots=True)
class Changing(Fleet):
    """Allows everything; during each of the first *changes* judgments the tool becomes another one."""

    changes: int = 0
    made: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list[tuple[str, Mapping[str, Any]]])

    async def call(
        self, tool: str, arguments: Mapping[str, Any], token: str | None, *, timeout_seconds: float = 1.0
    ) -> CallOutcome:
        self.made.append((tool, arguments))
        if tool != "judge_evaluate":
            return CallOutcome("done", {})
        if self.changes:
            self.changes -= 1
            self.catalog._tools["echo__shout"] = replace(SHOUT, definition_hash=f"changed {self.changes}")  # pyright: ignore[reportPrivateUsage]
        digest = arguments_hash(arguments["proposal"]["tool_arguments"])
        return CallOutcome("", {"outcome": "allow", "reason": "fine", "arguments_hash": digest, "reservation": "r"})

    def count(self, tool: str) -> int:
        return sum(name == tool for name, _ in self.made)


async def shouted(tmp_path: Path, changes: int) -> tuple[Changing, str]:
    fleet = Changing(changes=changes)
    fleet.catalog.add([SHOUT])
    vault = Vault(tmp_path)
    try:
        run = Run("run-1", "ada", "", "", "offline", fleet, open_secrets(VaultReader(vault)))
        result = await Gate(run, FakeClock(), Progress()).call(ToolCall("c1", "echo__shout", {"text": "hi"}))
    finally:
        vault.close()
    return fleet, result.text


async def test_a_tool_that_changed_while_it_was_judged_is_judged_again_before_it_runs(tmp_path: Path) -> None:
    fleet, text = await shouted(tmp_path, 1)
    assert (text, fleet.count("judge_evaluate"), fleet.count("echo__shout")) == ("done", 2, 1)
    bound = [
        body["body"]["binding"]["tool_definition_hash"]
        for name, body in fleet.made
        if name == "log_append" and "binding" in body["body"]
    ]
    assert bound == ["first", "changed 0"]


async def test_a_tool_that_keeps_changing_never_runs_and_costs_nothing(tmp_path: Path) -> None:
    fleet, text = await shouted(tmp_path, 10)
    assert text.startswith("blocked:") and fleet.count("echo__shout") == 0
    assert fleet.count("judge_evaluate") == MAX_JUDGED
    assert [body["actual"] for name, body in fleet.made if name == "judge_settle"] == [0.0] * MAX_JUDGED
