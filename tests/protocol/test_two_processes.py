"""Two server processes on one vault write at once: nothing is lost, and the log's chain is whole."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from fleet_fixtures import config_for, make_vault
from mcp import Client
from transports import connected

from argosy_core.types import Role
from argosy_host.compose import load_server

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]
NOTES_EACH = 500


async def test_a_thousand_notes_of_two_processes_are_a_thousand_notes_and_log_entries(tmp_path: Path) -> None:
    vault = make_vault(tmp_path / "vault")
    before = len(list((vault / "ada/memory").glob("*.md")))

    async def write(name: str) -> None:
        async with connected("stdio", "2026-07-28", ("memory",), vault) as client:
            for number in range(NOTES_EACH):
                note = {"type": "project", "title": f"{name} {number}", "body": f"Written by {name}."}
                result = await client.call_tool("memory_write", note)
                assert not result.is_error, result.content

    with anyio.fail_after(150):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write, "first")
            tasks.start_soon(write, "second")

    notes = [path for path in (vault / "ada/memory").glob("*.md") if path.name != "INDEX.md"]
    assert len(notes) - before == 2 * NOTES_EACH
    index = (vault / "ada/memory/INDEX.md").read_text(encoding="utf-8")
    assert index.count("](project_first_") == index.count("](project_second_") == NOTES_EACH
    assert [path.name for path in (vault / "ada").rglob("*.tmp")] == []
    config = config_for(vault, role=Role.OPERATOR)
    async with Client(load_server("log", config), mode="2026-07-28", cache=None) as client:
        report = (await client.call_tool("log_verify", {})).structured_content
        heads = (await client.call_tool("log_heads", {"stream": "ada"})).structured_content
    config.store.close()
    assert report["ok"] and report["entries"] == 2 * NOTES_EACH
    assert [(head["writer"], head["seq"]) for head in heads["items"]] == [("memory", 2 * NOTES_EACH)]
