"""What is known of a server before anybody talks to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from argosy_core.canonical import canonical_json, sha256_hex
from argosy_core.errors import NotFound
from argosy_core.types import ActionClass

FILE = "registry.json"
SEPARATOR = "__"

Transport = Literal["in_process", "stdio", "url"]


@dataclass(frozen=True, slots=True)
class FleetServer:
    """One server and how it is reached.

    *own* says that what runs is part of this installation. Any other server is off until its `digest` is approved
    outside the vault. An own server with transport ``stdio`` has no *command*: the host starts it from its own
    interpreter. *env* holds names of variables, never values; *tools* are the classes known beforehand. An own server's
    tools that come and go have theirs in *families*, by the beginning of their names.
    """

    name: str
    title: str
    description: str
    transport: Transport
    own: bool
    entry_point: str | None
    command: tuple[str, ...]
    url: str | None
    env: tuple[str, ...]
    tools: Mapping[str, ActionClass]
    families: Mapping[str, ActionClass] = field(default_factory=dict[str, ActionClass])

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of what would run: transport, entry point, command, URL, names of variables."""
        runs = {
            "transport": self.transport,
            "entry_point": self.entry_point,
            "command": self.command,
            "url": self.url,
            "env": self.env,
        }
        return sha256_hex(canonical_json(runs))


@dataclass(frozen=True, slots=True)
class Registry:
    """All servers of a vault, sorted by name."""

    servers: tuple[FleetServer, ...]

    def server(self, name: str) -> FleetServer:
        """The server *name*. Raises NotFound."""
        found = next((server for server in self.servers if server.name == name), None)
        if found is None:
            raise NotFound(f"there is no server {name!r}", hint="server_list shows the servers")
        return found

    def find(self, tool: str, server: str | None = None) -> tuple[FleetServer, ActionClass] | None:
        """Which server declares *tool*, with its class; only *server* is looked at when it is given.

        Where servers that are not our own share a name, the strictest class counts.
        """
        named = (candidate for candidate in self.servers if server is None or candidate.name == server)
        found = [(candidate, candidate.tools[tool]) for candidate in named if tool in candidate.tools]
        return max(found, key=lambda pair: pair[1].rank, default=None) or self._find_in_family(tool, server)

    def _find_in_family(self, tool: str, server: str | None) -> tuple[FleetServer, ActionClass] | None:
        """Only our own: what another server calls a tool says nothing of what it does."""
        for candidate in self.servers:
            if candidate.own and server in (None, candidate.name):
                for beginning, action_class in candidate.families.items():
                    if tool.startswith(beginning):
                        return candidate, action_class
        return None
