"""The tools of a composed fleet: whose they are, what they may do, and what binds them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mcp.types import Tool

from argosy_core.canonical import sha256_hex, tool_definition_hash
from argosy_core.errors import Conflict
from argosy_core.fleet import FleetServer
from argosy_core.serving.toolbox import CLASS_META, ROLE_META, SHOWN_META
from argosy_core.types import ActionClass, Role

MAX_NAME_CHARS = 31
MAX_DESCRIPTION_CHARS = 1000
# Zero-width, bidirectional, tag and control characters: a description must say what a person sees of it.
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")


@dataclass(frozen=True, slots=True)
class ToolInfo:
    """One tool: *name* is what a model calls it, *remote_name* what its server does."""

    name: str
    remote_name: str
    server: str
    own: bool
    description: str
    input_schema: Mapping[str, Any]
    action_class: ActionClass
    role: Role
    default: bool
    definition_hash: str

    @classmethod
    def of(cls, server: FleetServer, tool: Tool, version: str) -> ToolInfo:
        """The entry for *tool* of *server*. What a foreign server says of itself may raise a class, never lower it."""
        meta = tool.meta or {}
        own = server.own
        return cls(
            name=tool.name if own else foreign_name(server.name, tool.name),
            remote_name=tool.name,
            server=server.name,
            own=own,
            description=HIDDEN.sub("", tool.description or "")[:MAX_DESCRIPTION_CHARS],
            input_schema=tool.input_schema,
            action_class=ActionClass(meta[CLASS_META]) if own else _foreign_class(tool),
            role=Role(meta.get(ROLE_META, "agent")) if own else Role.AGENT,
            default=bool(meta.get(SHOWN_META)) if own else True,
            definition_hash=tool_definition_hash(server.name, tool.name, tool.input_schema, version),
        )


def _foreign_class(tool: Tool) -> ActionClass:
    hints = tool.annotations
    return ActionClass.HIGH_RISK if hints and hints.destructive_hint else ActionClass.EXTERNAL_SIDE_EFFECT


def foreign_name(server: str, tool: str) -> str:
    """``<server>__<tool>`` as every client and model API takes it: at most 31 characters of ``a-z0-9_``."""
    name = re.sub(r"[^a-z0-9_]+", "_", f"{server}__{tool}".lower())
    name = name if name[0].isalpha() else f"x{name}"
    if len(name) <= MAX_NAME_CHARS:
        return name
    return f"{name[: MAX_NAME_CHARS - 7]}_{sha256_hex(f'{server}/{tool}'.encode())[:6]}"


@dataclass(slots=True)
class Catalog:
    """All tools by name. Two servers that offer one name are a refusal, not a choice."""

    _tools: dict[str, ToolInfo] = field(default_factory=dict[str, ToolInfo])

    def add(self, tools: Iterable[ToolInfo]) -> None:
        """Take *tools* in. Raises Conflict when another server has one of the names."""
        found = {tool.name: tool for tool in tools}
        for name, tool in found.items():
            if name in self._tools:
                raise Conflict(f"{tool.server} and {self._tools[name].server} both offer {name}", hint="turn one off")
        self._tools |= found

    def renew(self, tool: ToolInfo) -> None:
        """Let *tool* take the place of what its server called so before; some tools come and go."""
        if self._tools.get(tool.name) is not tool:
            self._tools[tool.name] = tool

    def drop(self, server: str) -> None:
        """Forget the tools of *server*."""
        self._tools = {name: tool for name, tool in self._tools.items() if tool.server != server}

    def order(self, servers: Sequence[str]) -> None:
        """Sort by *servers*; whoever connected first must not decide what a model sees first."""
        rank = {name: index for index, name in enumerate(servers)}
        self._tools = dict(sorted(self._tools.items(), key=lambda item: rank.get(item[1].server, len(rank))))

    def get(self, name: str) -> ToolInfo | None:
        """The tool called *name*."""
        return self._tools.get(name)

    def all(self) -> list[ToolInfo]:
        """Every tool, in order."""
        return list(self._tools.values())

    def for_agent(self, *, full: bool = False) -> list[ToolInfo]:
        """What an agent is shown: the default profile, or all that its role may call."""
        return [tool for tool in self._tools.values() if tool.role is Role.AGENT and (full or tool.default)]
