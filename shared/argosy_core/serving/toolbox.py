"""Declaring tools: what the contract asks of each one, in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp_types import Tool as MCPTool
from mcp_types import ToolAnnotations
from pydantic import ValidationError

from argosy_core.serving.arguments import ArgumentReader
from argosy_core.serving.identity import resolve_caller
from argosy_core.serving.schema import compact_input, compact_output
from argosy_core.serving.shaping import explain_validation
from argosy_core.types import ActionClass, Caller, Role

CLASS_META = "argosy/class"
ROLE_META = "argosy/role"
SHOWN_META = "argosy/default"
_Function = TypeVar("_Function", bound=Callable[..., Any])


class Schemas(NamedTuple):
    """The JSON schemas of a tool's arguments and of its result."""

    input: dict[str, Any]
    output: dict[str, Any] | None


@dataclass(eq=False)
class ToolEntry:
    """A declared tool with who may call it and whether an agent is shown it by default.

    A start calls one tool or shows some: what calling and showing need is made when it is first asked for.
    """

    function: Callable[..., Any]
    title: str
    annotations: ToolAnnotations
    action_class: ActionClass
    role: Role
    default: bool
    kept_schemas: Schemas | None = None  # of an earlier start

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def description(self) -> str:
        return " ".join((self.function.__doc__ or "").split())

    @property
    def meta(self) -> dict[str, Any]:
        """What the definition says of it to the host."""
        return {CLASS_META: self.action_class.value, ROLE_META: self.role.value, SHOWN_META: self.default}

    @cached_property
    def tool(self) -> Tool:
        """What validates arguments and calls the function."""
        return Tool.from_function(
            self.function, title=self.title, description=self.description, annotations=self.annotations, meta=self.meta
        )

    @cached_property
    def given(self) -> tuple[str | None, str | None] | None:
        """The parameters for who calls and for the request, when those are all that the function asks for beside its
        arguments; None when it asks for more."""
        tool = self.tool
        match list(tool.resolved_params.items()):
            case [] if tool.is_async:
                return None, tool.context_kwarg
            case [(name, (marker, False))] if tool.is_async and marker.fn is resolve_caller:
                return name, tool.context_kwarg
            case _:
                return None

    @cached_property
    def reader(self) -> ArgumentReader:
        """What reads its arguments."""
        return ArgumentReader(self.tool.fn_metadata)

    @cached_property
    def is_plain(self) -> bool:
        """Whether the function asks for nothing but its arguments and who calls."""
        return self.given is not None and self.given[1] is None

    async def run(self, arguments: dict[str, Any], caller: Caller, context: Context[Any, Any] | None) -> Any:
        """What the function returns; only one that `is_plain` needs no *context*.

        Raises InvalidArgument and what it raises, itself or as a ToolError's cause.
        """
        # The SDK's way costs as much as many a tool: it resolves dependencies in rounds, in which a client may be
        # asked something. Who calls is known already.
        if self.given is None:
            assert context is not None
            return await self.tool.run(arguments, context)
        try:
            values = self.reader.read(arguments)
        except ValidationError as error:
            raise explain_validation(error) from error
        for name, value in zip(self.given, (caller, context), strict=True):
            if name is not None:
                values[name] = value
        return await self.function(**values)

    @cached_property
    def schemas(self) -> Schemas:
        """Its schemas, kept or made now."""
        return self.kept_schemas or self.make_schemas()

    def make_schemas(self) -> Schemas:
        """Its schemas as its function says them now."""
        output = self.tool.fn_metadata.output_schema
        return Schemas(compact_input(self.tool.parameters), None if output is None else compact_output(output))

    @cached_property
    def definition(self) -> MCPTool:
        """What a client is shown of it."""
        schemas = self.schemas
        return MCPTool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=schemas.input,
            output_schema=schemas.output,
            annotations=self.annotations,
            _meta=self.meta,
        )


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

        def declare(function: _Function) -> _Function:
            self.entries[function.__name__] = ToolEntry(function, title, annotations, action_class, role, default)
            return function

        return declare


def may_call(entry: ToolEntry, role: Role) -> bool:
    """Whether *role* may call the tool at all."""
    if entry.role is Role.AGENT:
        return True
    return role is Role.OPERATOR or (role is Role.HOST and entry.role is Role.HOST)
