"""Resources and prompts that are registered when somebody first asks for one: most starts only call a tool."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from mcp.server import MCPServer
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context
from mcp_types import GetPromptResult, InputRequiredResult, Prompt, Resource, ResourceTemplate
from pydantic import AnyUrl

_Function = TypeVar("_Function", bound=Callable[..., Any])


class DocumentServer(MCPServer[None]):
    """The SDK's server, with late resources and prompts."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._declared: list[Callable[[], Any]] = []
        super().__init__(*arguments, **options)

    if not TYPE_CHECKING:  # to type checkers, these take what the SDK's take

        def resource(self, *arguments: Any, **options: Any) -> Callable[[_Function], _Function]:
            return self._later(super().resource, arguments, options)

        def prompt(self, *arguments: Any, **options: Any) -> Callable[[_Function], _Function]:
            return self._later(super().prompt, arguments, options)

    def _later(
        self, declare: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> Callable[[_Function], _Function]:
        def keep(function: _Function) -> _Function:
            self._declared.append(lambda: declare(*arguments, **options)(function))
            return function

        return keep

    def _register(self) -> None:
        declared, self._declared = self._declared, []
        for register in declared:
            register()

    async def list_resources(self) -> list[Resource]:
        self._register()
        return await super().list_resources()

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        self._register()
        return await super().list_resource_templates()

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[None, Any] | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        self._register()
        return await super().read_resource(uri, context)

    async def list_prompts(self) -> list[Prompt]:
        self._register()
        return await super().list_prompts()

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[None, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        self._register()
        return await super().get_prompt(name, arguments, context)
