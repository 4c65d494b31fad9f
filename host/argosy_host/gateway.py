"""The whole fleet as one server: tools, resources and prompts of all, under their own names.

Servers of this process are called directly with the request's own context, so a call through the gateway costs no
second protocol round, and questions, progress and notices reach the client as if the server stood alone.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any, cast

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import Context
from mcp.server.subscriptions import ListenHandler, ServerEvent, SubscriptionBus
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequiredResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
)

from argosy_core import __version__
from argosy_core.errors import Conflict, NotFound
from argosy_core.serving.announce import LegacySubscriptions
from argosy_core.serving.icons import icon_of
from argosy_core.serving.identity import RUN_META
from argosy_core.serving.server import ArgosyServer, place_of
from argosy_core.serving.shaping import shape_error

PAGE = 100  # tools, resources or prompts in one answer
_Request = ServerRequestContext[Any, Any]


class _Buses:
    """One bus out of many: who listens here hears every server."""

    def __init__(self, buses: Sequence[SubscriptionBus]) -> None:
        self._buses = buses

    async def publish(self, event: ServerEvent) -> None:
        for bus in self._buses[:1]:
            await bus.publish(event)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        stops = [bus.subscribe(listener) for bus in self._buses]

        def stop() -> None:
            for end in stops:
                end()

        return stop


class Gateway:
    """Builds and answers as `server`. Raises Conflict when two servers offer one tool."""

    def __init__(self, parts: Sequence[ArgosyServer]) -> None:
        self._parts = parts
        self._owners: dict[str, ArgosyServer] = {}
        for part in parts:
            for name in part.entries:
                if name in self._owners:
                    raise Conflict(f"{part.short_name} and {self._owners[name].short_name} both offer {name}")
                self._owners[name] = part
        buses = _Buses([part.bus for part in parts])
        self.server: Server[None] = Server(
            "argosy",
            version=__version__,
            title="Argosy",
            instructions="\n".join(f"{part.title}: {part.instructions}" for part in parts),
            lifespan=self._lifespan,
            get_tool_input_schema=self._input_schema,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
            on_list_prompts=self._list_prompts,
            on_get_prompt=self._get_prompt,
            on_completion=self._complete,
            icons=[icon_of("host")],
            on_subscriptions_listen=ListenHandler(buses),
        )
        LegacySubscriptions(buses).serve(self.server)

    @asynccontextmanager
    async def _lifespan(self, _: Server[None]) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            for part in self._parts:
                await stack.enter_async_context(part.running())
            yield

    def _input_schema(self, name: str) -> dict[str, Any] | None:
        part = self._owners.get(name)
        return None if part is None else part.input_schema_of(name)

    async def _list_tools(self, ctx: _Request, params: PaginatedRequestParams | None) -> ListToolsResult:
        tools = [tool for part in self._parts for tool in await part.tools_for(_clean(ctx).meta)]
        page, following = _page(tools, params)
        return ListToolsResult(tools=page, next_cursor=following)

    async def _call_tool(self, ctx: _Request, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
        part = self._owners.get(params.name) or await self._late_owner(params.name)
        if part is None:
            return shape_error(NotFound(f"there is no tool {params.name!r} here", hint="tools/list shows the tools"))
        return await part.call_tool(params.name, params.arguments or {}, _context(part, ctx, params))

    async def _late_owner(self, name: str) -> ArgosyServer | None:
        """The server one of whose tools came after the start."""
        for part in self._parts:
            if await part.owns_tool(name):
                return part
        return None

    async def _complete(self, ctx: _Request, params: CompleteRequestParams) -> CompleteResult:
        place = place_of(params.ref)
        part = next((part for part in self._parts if part.completions.knows(place)), None)
        if part is None:
            return CompleteResult(completion=Completion(values=[], total=0, has_more=False))
        return await part.complete(_clean(ctx), params)

    async def _list_resources(self, ctx: _Request, params: PaginatedRequestParams | None) -> ListResourcesResult:
        page, following = _page([r for part in self._parts for r in await part.list_resources()], params)
        return ListResourcesResult(resources=page, next_cursor=following)

    async def _list_templates(
        self, ctx: _Request, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        page, following = _page([t for part in self._parts for t in await part.list_resource_templates()], params)
        return ListResourceTemplatesResult(resource_templates=page, next_cursor=following)

    async def _read_resource(
        self, ctx: _Request, params: ReadResourceRequestParams
    ) -> ReadResourceResult | InputRequiredResult:
        for part in self._parts:
            if await part.owns_resource(str(params.uri)):
                return await part.answer_resource(_clean(ctx), params)
        raise MCPError(code=INVALID_PARAMS, message="there is no such resource", data={"uri": str(params.uri)})

    async def _list_prompts(self, ctx: _Request, params: PaginatedRequestParams | None) -> ListPromptsResult:
        page, following = _page([p for part in self._parts for p in await part.list_prompts()], params)
        return ListPromptsResult(prompts=page, next_cursor=following)

    async def _get_prompt(self, ctx: _Request, params: GetPromptRequestParams) -> GetPromptResult | InputRequiredResult:
        for part in self._parts:
            if any(prompt.name == params.name for prompt in await part.list_prompts()):
                return await part.get_prompt(params.name, params.arguments, _context(part, ctx, params))
        raise MCPError(code=INVALID_PARAMS, message=f"there is no prompt {params.name!r}")


def _context(part: ArgosyServer, ctx: _Request, params: Any) -> Context[Any, Any]:
    return Context(request_context=_clean(ctx), mcp_server=part, input_params=params, subscriptions=part.bus)


def _clean(ctx: _Request) -> _Request:
    """*ctx* without a run token: those are between a host and its own servers, never a client's to send."""
    meta = cast("dict[str, Any] | None", ctx.meta)
    if not meta or RUN_META not in meta:
        return ctx
    return replace(ctx, meta=cast("Any", {name: value for name, value in meta.items() if name != RUN_META}))


def _page(items: Sequence[Any], params: PaginatedRequestParams | None) -> tuple[list[Any], str | None]:
    cursor = params.cursor if params else None
    if cursor is not None and not cursor.isdecimal():
        raise MCPError(code=INVALID_PARAMS, message="not a cursor of this list")
    start = int(cursor or 0)
    following = str(start + PAGE) if len(items) > start + PAGE else None
    return list(items[start : start + PAGE]), following
