"""Putting the packaged servers and a vault's own together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path

from argosy_core.fleet.entries import bad, read_entries
from argosy_core.fleet.servers import FILE, FleetServer, Registry
from argosy_core.types import ActionClass


def load_registry(vault_bytes: bytes | None) -> Registry:
    """The packaged servers, changed and joined by those of a vault's ``registry.json``; None when it has none.

    Raises Corrupted, with the line or place, when the file is not what it should be. A vault can raise the class of
    an own tool, never lower it, and cannot give its name to another server's tool.
    """
    own = packaged()
    if vault_bytes is None:
        return own
    servers = {server.name: server for server in own.servers}
    for place, server in read_entries(vault_bytes, servers):
        servers[server.name] = _settled(server, servers.get(server.name), place)
    _refuse_shadows(servers.values())
    return Registry(tuple(servers[name] for name in sorted(servers)))


@cache
def packaged() -> Registry:
    """The servers this installation brings."""
    servers = (replace(server, own=True) for _, server in read_entries(_packaged_bytes(), {}))
    return Registry(tuple(sorted(servers, key=lambda server: server.name)))


def _packaged_bytes() -> bytes:
    installed = resources.files("argosy_core") / "_data" / FILE
    if installed.is_file():
        return installed.read_bytes()
    # In a checkout the file stands at the root of the tree and is not copied.
    return (Path(__file__).resolve().parents[3] / FILE).read_bytes()


def _settled(server: FleetServer, base: FleetServer | None, place: str) -> FleetServer:
    """*server* with what follows from *base*, the packaged server whose name it takes."""
    own = base is not None and server.entry_point == base.entry_point and not server.command and server.url is None
    if server.transport == "stdio" and not server.command and not own:
        bad(f"{place}.command", 'a server over stdio needs the words that start it: ["uvx", "some-server"]')
    if base is None:
        return server
    extra = sorted(server.tools.keys() - base.tools.keys())
    if own and extra:
        bad(f"{place}.tools", f"{server.name} has no tool {extra[0]!r}")
    tools = {tool: _stricter(tool, server, base) for tool in {**base.tools, **server.tools}}
    families = base.families if own else server.families
    return replace(server, own=own, env=server.env or base.env, tools=tools, families=families)


def _stricter(tool: str, *servers: FleetServer) -> ActionClass:
    return max((s.tools[tool] for s in servers if tool in s.tools), key=lambda action_class: action_class.rank)


def _refuse_shadows(servers: Iterable[FleetServer]) -> None:
    owners = {tool: server.name for server in packaged().servers for tool in server.tools}
    for server in servers:
        for tool in server.tools:
            if owners.get(tool, server.name) != server.name:
                bad(f"the tools of {server.name}", f"{tool!r} is a tool of {owners[tool]}")
