"""Writers that are killed in the middle of their work, many times over: what was acknowledged is there."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from served import call

from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.types import Role
from argosy_journal.server import create as create_journal
from argosy_log.server import create as create_log
from argosy_memory.server import create as create_memory

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 30
WRITERS = 3
# Writes a note and a journal entry over and over, and says so only after both were acknowledged.
WRITER = """
import asyncio, itertools, sys
from mcp import Client
from argosy_core.serving.config import ServerConfig, open_store
from argosy_journal.server import create as create_journal
from argosy_memory.server import create as create_memory

async def main(vault, name):
    config = ServerConfig(open_store(vault), agent="harbor", profile="full")
    async with Client(create_memory(config)) as memory, Client(create_journal(config)) as journal:
        for number in itertools.count():
            title = f"{name} number {number}"
            note = {"type": "reference", "title": title, "body": title}
            for client, tool, given in ((memory, "memory_write", note), (journal, "journal_append", {"text": title})):
                result = await client.call_tool(tool, given)
                assert not result.is_error, result.content[0].text
            print(title, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def start(vault: Path, name: str) -> subprocess.Popen[str]:
    sources = os.pathsep.join(str(ROOT / part) for part in ("servers", "shared", "host"))
    return subprocess.Popen(
        [sys.executable, "-P", "-c", WRITER, str(vault), name],
        env={**os.environ, "PYTHONPATH": sources},
        stdout=subprocess.PIPE,
        text=True,
    )


def killed_round(vault: Path, number: int, chance: random.Random) -> list[str]:
    """What the writers of one round had acknowledged when they were killed."""
    acknowledged: list[str] = []
    with ExitStack() as stack:
        writers = [start(vault, f"round {number} writer {w}") for w in range(WRITERS)]
        for writer in writers:
            stack.enter_context(writer)
            stack.callback(writer.kill)
        for writer in writers:
            assert writer.stdout is not None
            acknowledged += [writer.stdout.readline().strip() for _ in range(chance.randint(1, 12))]
            writer.kill()
            acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]
            writer.wait()
    return acknowledged


@pytest.mark.anyio
async def test_what_was_acknowledged_survives_the_death_of_its_writer(tmp_path: Path) -> None:
    (tmp_path / "harbor").mkdir()
    (tmp_path / "harbor" / "model.md").write_text("# MODEL\n")
    chance = random.Random(20261120)
    acknowledged = [title for number in range(ROUNDS) for title in killed_round(tmp_path, number, chance)]
    assert len(acknowledged) >= ROUNDS * WRITERS
    assert "" not in acknowledged

    store = open_store(tmp_path)
    config = ServerConfig(store, agent="harbor", role=Role.OPERATOR, profile="full")
    days = "".join(path.read_text() for path in (tmp_path / "harbor/journal").rglob("*.md"))
    for title in acknowledged:
        name = f"reference_{title.replace(' ', '_')}"
        note = await call(create_memory, config, "memory_read", name=name)
        assert note.code is None, f"{title}: {note.text}"
        assert f"{title}\n" in days
    for create, tool in ((create_memory, "memory_doctor"), (create_journal, "journal_doctor")):
        report = await call(create, config, tool)
        assert [f for f in report.fields["findings"] if f["status"] == "fail"] == []
    verified = await call(create_log, config, "log_verify")
    assert verified.fields["ok"], verified.text
    assert verified.fields["entries"] >= 2 * len(acknowledged)
    store.close()
