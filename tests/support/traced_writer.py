"""Writes through the fleet's servers, one call after the other, and says ACK after each: for a tracer to look at.

As a program: ``python traced_writer.py VAULT [BUG]``.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from mcp import Client
from planted_bugs import plant

from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.types import Role
from argosy_journal.server import create as create_journal
from argosy_log.server import create as create_log
from argosy_memory.server import create as create_memory
from argosy_queue.server import create as create_queue

ROUNDS = 3
FOLDERS = {"memory": "memory", "journal": "journal", "log": "log", "queue": "_fleet/queue"}


async def write(vault: Path) -> None:
    """Notes, journal entries, log entries and items, each a few times."""
    store = open_store(vault)
    config = ServerConfig(store, "harbor", Role.OPERATOR, profile="full")
    async with (
        Client(create_memory(config)) as memory,
        Client(create_journal(config)) as journal,
        Client(create_log(config)) as log,
        Client(create_queue(config)) as queue,
    ):

        async def call(client: Client, tool: str, **given: Any) -> dict[str, Any]:
            result = await client.call_tool(tool, given)
            assert not result.is_error, result.content
            os.write(1, f"ACK {tool} {FOLDERS[tool.partition('_')[0]]}\n".encode())
            return result.structured_content or {}

        for number in range(ROUNDS):
            await call(memory, "memory_write", type="reference", title=f"Note {number}", body="a text")
            await call(journal, "journal_append", text=f"entry {number}")
            await call(log, "log_append", kind="test.step", body={"n": number})
            await call(queue, "queue_enqueue", queue="work", payload={"n": number})
            claimed = await call(queue, "queue_claim", queue="work", worker="w", lease_s=60)
            [item] = claimed["items"]
            given = {"item": item["id"], "token": item["lease"]["token"]}
            await call(queue, "queue_complete", **given, result={"ok": True})
    store.close()


if __name__ == "__main__":
    for name in sys.argv[2:]:
        plant(name)
    asyncio.run(write(Path(sys.argv[1])))
