"""One call, or a few, to a server of this process: what the command line needs without a run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from anyio import to_thread
from mcp import Client

from argosy_core.attendance import Channel
from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.storage.address import Address
from argosy_core.storage.base import Store
from argosy_core.types import Role
from argosy_core.views.vault_reader import VaultReader
from argosy_host.compose import load_server
from argosy_host.results import CallOutcome, outcome_of
from argosy_host.session import find_agent


@asynccontextmanager
async def opened(vault: Path, store: Address | None) -> AsyncGenerator[Store]:
    """The store of *vault*, closed at the end."""
    found = open_store(vault, store)
    try:
        yield found
    finally:
        await to_thread.run_sync(found.close)


async def call_tool(
    server: str,
    tool: str,
    arguments: Mapping[str, Any],
    *,
    vault: Path,
    agent: str | None = None,
    role: Role = Role.OPERATOR,
    store: Address | None = None,
) -> CallOutcome:
    """Call *tool* of *server* in this process.

    Raises NotFound for a missing vault or agent; a failure of the tool is in the outcome.
    """
    async with opened(vault, store) as found:
        name = await to_thread.run_sync(agent_name, found, agent)
        return await call_in(found, server, tool, arguments, agent=name, role=role)


async def call_in(
    store: Store,
    server: str,
    tool: str,
    arguments: Mapping[str, Any],
    *,
    agent: str | None,
    role: Role,
    attended: Channel | None = None,
) -> CallOutcome:
    """The same over a store that is open already; *agent* may be None.

    *attended* says how the person was seen to be there whose call this is.
    """
    config = ServerConfig(store=store, agent=agent, role=role, profile="full", attended=attended)
    async with Client(load_server(server, config), mode="2026-07-28", cache=None) as client:
        return outcome_of(await client.call_tool(tool, dict(arguments)))


def agent_name(store: Store, agent: str | None) -> str | None:
    """The agent that *agent* means; None where several could be meant, and a tool that needs one says so."""
    from argosy_core.errors import InvalidArgument

    try:
        return find_agent(VaultReader(store.files), agent).name
    except InvalidArgument:
        return None
