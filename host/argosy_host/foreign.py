"""Servers that a vault names (its ``registry.json``, an agent's ``mcp.md``): off until a person approved them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from argosy_core.errors import ArgosyError
from argosy_core.fleet import FleetServer
from argosy_core.policy.mcp_md import McpEntry, parse_mcp
from argosy_core.types import ActionClass
from argosy_core.views.agents import AgentView
from argosy_core.views.reader import Reader
from argosy_host.progress import Progress
from argosy_host.trust import Approvals


def named_servers(reader: Reader, agent: str) -> list[FleetServer]:
    """The servers in *agent*'s ``mcp.md``. Raises Corrupted or PolicyInvalid when the file cannot be read."""
    data = reader.read(f"{agent}/mcp.md")
    if data is None:
        return []
    return [_server(entry) for entry in parse_mcp(data, f"{agent}/mcp.md").entries]


def _server(entry: McpEntry) -> FleetServer:
    return FleetServer(
        name=entry.server,
        title=entry.server,
        description=entry.description,
        transport="stdio" if entry.command else "url",
        own=False,
        entry_point=None,
        command=(entry.command, *entry.args) if entry.command else (),
        url=entry.url,
        env=tuple(sorted(f"{name}=${source}" for name, source in entry.env.items())),
        tools=dict[str, ActionClass](),
    )


def describe(server: FleetServer) -> str:
    """What would run, for a person to judge."""
    return " ".join(server.command) if server.command else (server.url or server.entry_point or "?")


def approved_servers(
    foreign: Sequence[FleetServer],
    reader: Reader,
    view: AgentView | None,
    approvals: Approvals,
    vault: Path,
    progress: Progress,
) -> list[FleetServer]:
    """Those of *foreign* and of the agent's ``mcp.md`` that may start; the others are told to *progress*."""
    found = list(foreign)
    if view is not None:
        try:
            found += named_servers(reader, view.name)
        except ArgosyError as error:
            progress.problem(f"{view.name}/mcp.md: {error}")
    allowed: list[FleetServer] = []
    for server in found:
        if approvals.allows(vault, server.digest):
            allowed.append(server)
        else:
            progress.problem(
                f"the server {server.name} is off: it would run `{describe(server)}` "
                f"(mcp-host approve {server.name} turns it on)"
            )
    return allowed
