"""Declaring tools: what the contract asks of each one, in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mcp.server.mcpserver.tools import Tool
from mcp_types import ToolAnnotations

from argosy_core.serving.schema import compact_input, compact_output
from argosy_core.types import ActionClass, Role

CLASS_META = "argosy/class"
ROLE_META = "argosy/role"
SHOWN_META = "argosy/default"
_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ToolEntry:
    """A tool with who may call it and whether an agent is shown it by default."""

    tool: Tool
    action_class: ActionClass
    role: Role
    default: bool


@dataclass(slots=True)
class ToolBox:
    """The tools of one server, in the order they are declared."""

    entries: dict[str, ToolEntry] = field(default_factory=dict[str, ToolEntry])

    def tool(
        self,
        title: str,
        action_class: ActionClass = ActionClass.READ_ONLY,
        *,
        role: Role = Role.AGENT,
        default: bool = False,
        destructive: bool = False,
        idempotent: bool = False,
        open_world: bool = False,
    ) -> Callable[[_Function], _Function]:
        """Declare the decorated coroutine function as a tool; its name, docstring and signature are the contract.

        *role* is who may call it: an agent; the host and operators (`Role.HOST`); operators alone (`Role.OPERATOR`).
        *default* shows it to agents in the default profile.
        """
        read_only = action_class is ActionClass.READ_ONLY
        annotations = ToolAnnotations(
            title=title,
            read_only_hint=read_only,
            destructive_hint=destructive,
            idempotent_hint=idempotent or read_only,
            open_world_hint=open_world,
        )
        meta: dict[str, Any] = {CLASS_META: action_class.value, ROLE_META: role.value, SHOWN_META: default}

        def declare(function: _Function) -> _Function:
            description = " ".join((function.__doc__ or "").split())
            tool = Tool.from_function(
                function, title=title, description=description, annotations=annotations, meta=meta
            )
            tool.parameters = compact_input(tool.parameters)
            if tool.fn_metadata.output_schema is not None:
                tool.fn_metadata.output_schema = compact_output(tool.fn_metadata.output_schema)
            self.entries[tool.name] = ToolEntry(tool, action_class, role, default)
            return function

        return declare


def may_call(entry: ToolEntry, role: Role) -> bool:
    """Whether *role* may call the tool at all."""
    if entry.role is Role.AGENT:
        return True
    return role is Role.OPERATOR or (role is Role.HOST and entry.role is Role.HOST)
