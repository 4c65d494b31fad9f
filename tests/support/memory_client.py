"""The memory server in process, over a vault or a store, and its tools called by name."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from fleet_fixtures import config_for, text_of
from mcp import Client

from argosy_core.serving.config import ServerConfig
from argosy_host.compose import load_server


@asynccontextmanager
async def memory(vault: Path, **fields: Any) -> AsyncGenerator[Client]:
    """A client of memory over *vault*, with all its tools; *fields* are those of the config."""
    async with memory_over(config_for(vault, **{"profile": "full", **fields})) as client:
        yield client


@asynccontextmanager
async def memory_over(config: ServerConfig) -> AsyncGenerator[Client]:
    """A client of memory as *config* says, whose store is closed in the end."""
    try:
        async with Client(load_server("memory", config), mode="2026-07-28", cache=None) as client:
            yield client
    finally:
        await to_thread.run_sync(config.store.close)


async def call(client: Client, tool: str, /, **arguments: Any) -> dict[str, Any]:
    """The structured content of a call that succeeds."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    assert result.structured_content is not None
    return result.structured_content


async def error(client: Client, tool: str, /, **arguments: Any) -> str:
    """The text of a call that fails."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result.structured_content
    return text_of(result)


async def call_embedded(client: Client, tool: str, /, **arguments: Any) -> dict[str, Any]:
    """As `call`, after the vectors were made."""
    with anyio.fail_after(20):
        while "vectors are still" in ((found := await call(client, tool, **arguments))["note"] or ""):
            await anyio.sleep(0.02)
    return found


def configure(vault: Path, url: str, more: str = "") -> None:
    """Have *vault* embed at *url*."""
    text = f"---\ndefault_agent: ada\nembeddings:\n  url: {url}\n  model: test\n{more}---\n"
    (vault / "fleet.md").write_text(text, encoding="utf-8")
