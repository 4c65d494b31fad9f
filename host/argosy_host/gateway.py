"""The whole fleet as one server: tools, resources and prompts of all, under their own names.

Servers of this process are called directly with the request's own context, so a call through the gateway costs no
second protocol round, and questions, progress and notices reach the client as if the server stood alone. Calls above
reading go through the gate (`guarded`), and so do all those of foreign servers, whose tools are shown besides.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any, cast

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
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
from argosy_core.errors import ArgosyError, Conflict
from argosy_core.serving.announce import LegacySubscriptions
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.icons import icon_of
from argosy_core.serving.identity import RUN_META, RunTokens
from argosy_core.serving.server import ArgosyServer, place_of
from argosy_core.serving.shaping import shape_error
from argosy_host.compose import load_server
from argosy_host.guarded.client_call import context_of
from argosy_host.guarded.clients import Clients
from argosy_host.guarded.guard import Asked, Guard

NAME = "argosy"
STATE_SECONDS = 3600.0  # for a person to answer what a client was sent
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

    def __init__(self, parts: Sequence[ArgosyServer], guard: Guard) -> None:
        self.parts = parts
        self._guard = guard
        self._owners: dict[str, ArgosyServer] = {}
        for part in parts:
            for name in part.entries:
                if name in self._owners:
                    raise Conflict(f"{part.short_name} and {self._owners[name].short_name} both offer {name}")
                self._owners[name] = part
        buses = _Buses([part.bus for part in parts])
        alone = parts[0] if len(parts) == 1 else None
        self.server: Server[Clients] = Server(
            alone.name if alone else NAME,
            version=__version__,
            title=alone.title if alone else "Argosy",
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
            icons=[icon_of(alone.short_name if alone else "host")],
            on_subscriptions_listen=ListenHandler(buses),
        )
        # What a client sends back with its answers is believed only as it was sealed here.
        security = RequestStateSecurity.ephemeral(ttl=STATE_SECONDS)
        self.server.middleware.append(RequestStateBoundary(security, default_audience=NAME))
        LegacySubscriptions(buses).serve(self.server)

    @asynccontextmanager
    async def _lifespan(self, _: Server[Clients]) -> AsyncGenerator[Clients]:
        async with AsyncExitStack() as stack:
            for part in self.parts:
                await stack.enter_async_context(part.running())
            yield await stack.enter_async_context(self._guard.open())

    def _input_schema(self, name: str) -> dict[str, Any] | None:
        part = self._owners.get(name)
        return None if part is None else part.input_schema_of(name)

    async def _list_tools(self, ctx: _Request, params: PaginatedRequestParams | None) -> ListToolsResult:
        tools = [tool for part in self.parts for tool in await part.tools_for(_clean(ctx).meta)]
        tools += await self._guard.foreign_tools()
        page, following = _page(tools, params)
        return ListToolsResult(tools=page, next_cursor=following)

    async def _call_tool(self, ctx: _Request, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
        part = self._owners.get(params.name) or await self._late_owner(params.name)
        clean = _clean(ctx)
        speaker = part or self.parts[0]
        try:
            caller = speaker.caller_of(context_of(speaker, clean, params))
        except ArgosyError as error:
            return shape_error(error)
        clients: Clients = ctx.lifespan_context
        return await self._guard.call(Asked(clean, params, caller, part), clients)

    async def _late_owner(self, name: str) -> ArgosyServer | None:
        """The server one of whose tools came after the start."""
        for part in self.parts:
            if await part.owns_tool(name):
                return part
        return None

    async def _complete(self, ctx: _Request, params: CompleteRequestParams) -> CompleteResult:
        place = place_of(params.ref)
        part = next((part for part in self.parts if part.completions.knows(place)), None)
        if part is None:
            return CompleteResult(completion=Completion(values=[], total=0, has_more=False))
        return await part.complete(_clean(ctx), params)

    async def _list_resources(self, ctx: _Request, params: PaginatedRequestParams | None) -> ListResourcesResult:
        page, following = _page([r for part in self.parts for r in await part.list_resources()], params)
        return ListResourcesResult(resources=page, next_cursor=following)

    async def _list_templates(
        self, ctx: _Request, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        page, following = _page([t for part in self.parts for t in await part.list_resource_templates()], params)
        return ListResourceTemplatesResult(resource_templates=page, next_cursor=following)

    async def _read_resource(
        self, ctx: _Request, params: ReadResourceRequestParams
    ) -> ReadResourceResult | InputRequiredResult:
        for part in self.parts:
            if await part.owns_resource(str(params.uri)):
                return await part.answer_resource(_clean(ctx), params)
        raise MCPError(code=INVALID_PARAMS, message="there is no such resource", data={"uri": str(params.uri)})

    async def _list_prompts(self, ctx: _Request, params: PaginatedRequestParams | None) -> ListPromptsResult:
        page, following = _page([p for part in self.parts for p in await part.list_prompts()], params)
        return ListPromptsResult(prompts=page, next_cursor=following)

    async def _get_prompt(self, ctx: _Request, params: GetPromptRequestParams) -> GetPromptResult | InputRequiredResult:
        for part in self.parts:
            if any(prompt.name == params.name for prompt in await part.list_prompts()):
                return await part.get_prompt(params.name, params.arguments, context_of(part, _clean(ctx), params))
        raise MCPError(code=INVALID_PARAMS, message=f"there is no prompt {params.name!r}")


def build_gateway(names: Sequence[str], config: ServerConfig, tokens: RunTokens | None = None) -> Gateway:
    """The servers *names* of the fleet as one, with its gate. Raises NotFound, Conflict."""
    tokens = tokens or RunTokens(config.clock)
    mine = replace(config, host_key=tokens.public_key)
    return gateway_over([load_server(name, mine) for name in dict.fromkeys(names)], mine, tokens)


def gateway_over(parts: Sequence[ArgosyServer], config: ServerConfig, tokens: RunTokens) -> Gateway:
    """*parts*, which believe *tokens*, as one server with its gate."""
    return Gateway(parts, Guard(config, tokens, parts))


def parts_alone(gateway: Gateway, config: ServerConfig, tokens: RunTokens) -> dict[str, Gateway]:
    """Each server of *gateway* at an address of its own: behind a gate just the same."""
    return {
        part.short_name: Gateway([part], Guard(config, tokens, [part], shows_foreign=False)) for part in gateway.parts
    }


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
