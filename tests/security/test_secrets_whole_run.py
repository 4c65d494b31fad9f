"""A hundred planted values go through a whole run that clients start and watch, and are then in no sink of it."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from fleet_fixtures import Scripted, calls, config_for, make_vault, says
from mcp import Client

from argosy_core.secrets.logs import guard_logging
from argosy_core.secrets.placeholders import placeholder
from argosy_core.secrets.redaction import PROCESS
from argosy_core.testing.canaries import Canaries
from argosy_core.testing.fakes import SeededIds
from argosy_core.views.vault_reader import VaultReader
from argosy_host.foreign import named_servers
from argosy_host.gateway import build_gateway
from argosy_host.running.book import BookSettings, RunBook, share_book
from argosy_host.trust import Approvals, state_folder

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
COUNT = 100
PER_TURN = 25
FOREIGN = """
import base64, json, sys
from mcp.server import MCPServer

server = MCPServer("x")

@server.tool()
async def echo(value: str) -> str:
    data = value.encode()
    print("got", value, file=sys.stderr)
    forms = [value, value[::-1], data.hex(), json.dumps(value)]
    return "\\n".join([*forms, *(base64.b64encode(b"x" * n + data).decode() for n in range(3))])

@server.tool()
async def crash(value: str) -> str:
    raise RuntimeError(f"cannot use {value}")

server.run()
"""


@pytest.fixture
def canaries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Canaries:
    found = Canaries(COUNT, SeededIds(11))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name, value in found.values.items():
        monkeypatch.setenv(f"ARGOSY_SECRET_{name}", value)
    return found


def make(tmp_path: Path, canaries: Canaries) -> Path:
    audience = json.dumps({"tools": ["x__echo", "x__crash"], "arguments": ["value"]})
    head = ["---", "default_agent: ada", "secrets:", *(f"  {name}: {audience}" for name in canaries.values), "---", ""]
    script = tmp_path / "foreign.py"
    script.write_text(FOREIGN, encoding="utf-8")
    vault = make_vault(
        tmp_path / "vault",
        {
            "fleet.md": "\n".join(head),
            "ada/mcp.md": f"## x\ncommand: {sys.executable}\nargs: {script}\n",
            "ada/tools.md": "## Write paths\n\n- `memory/`\n- `journal/`\n\n## Tool classification\n\n"
            "- x__echo: reversible_write\n- x__crash: reversible_write\n",
        },
    )
    config = config_for(vault)
    for server in named_servers(VaultReader(config.store.files), "ada"):
        Approvals(state_folder()).approve(config.store.root, server.digest)
    config.store.close()
    return vault


class Parrot(Scripted):
    """A model that repeats all it was told: into notes, the journal and its answer."""

    def heard(self) -> str:
        return "\n".join(r.text for request in self.requests[-1:] for m in request.messages for r in m.returns)


async def test_a_whole_run_leaks_no_value_into_any_sink(tmp_path: Path, canaries: Canaries) -> None:
    vault = make(tmp_path, canaries)
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    wanted = [
        (f"x__{'crash' if number % 5 == 4 else 'echo'}", {"value": f"Bearer {placeholder(name)}"})
        for number, name in enumerate(canaries.values)
    ]
    turns = [calls(*wanted[i : i + PER_TURN]) for i in range(0, COUNT, PER_TURN)]
    model = Parrot([*turns])
    model.steps += [
        lambda _: calls(
            ("memory_write", {"type": "reference", "title": "Heard", "body": model.heard()[:20_000]}),
            ("journal_append", {"text": model.heard()[:20_000]}),
        ),
        lambda _: says(model.heard()[:20_000]),
    ]
    root, keep = logging.getLogger(), Keep()
    level, undo = root.level, guard_logging(PROCESS)
    root.addHandler(keep)
    root.setLevel(logging.DEBUG)
    try:
        seen = await _drive(vault, model)
    finally:
        undo()
        root.setLevel(level)
        root.removeHandler(keep)

    assert sum(text.count("[secret:") for text in map(str, model.requests)) >= COUNT
    assert canaries.in_object(seen, "what clients saw") == []
    assert canaries.in_object(model.requests, "prompts") == []
    assert canaries.in_records(records) == []
    assert canaries.in_folder(tmp_path) == []


async def _drive(vault: Path, model: Scripted) -> list[Any]:
    """Start the run through the whole fleet as one gateway, and read it back in every way a client has."""
    seen: list[Any] = []
    config = config_for(vault, profile="full")
    book = RunBook(config.store, config.clock, config.ids, BookSettings(open_model=lambda: model))
    share_book(config.store, book)
    gateway = build_gateway(("host", "log", "memory", "journal"), config)

    async def told(progress: float, total: float | None, message: str | None) -> None:
        seen.append(message)

    with anyio.fail_after(100):
        async with Client(gateway.server, cache=None) as client:
            arguments = {"agent": "ada", "input": "Try every token.", "wait_s": 50}
            ended = await client.call_tool("run_start", arguments, progress_callback=told)
            run = (ended.structured_content or {})["run"]
            assert (ended.structured_content or {})["status"] == "ok", ended
            seen += [ended, await client.call_tool("run_status", {"run": run})]
            seen.append(await client.call_tool("log_trace", {"run": run}))
            seen.append(await client.call_tool("log_query", {"run": run, "limit": 500}))
            seen.append(await client.call_tool("memory_search", {"query": "heard secret"}))
            seen.append(await client.read_resource(f"run://{run}"))
    await to_thread.run_sync(config.store.close)
    return seen
