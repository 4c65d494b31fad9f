"""The gate of a gateway: which calls go through it, and how each of them goes on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from anyio import to_thread
from mcp_types import CallToolRequestParams, Tool

from argosy_core.errors import ArgosyError, NotFound
from argosy_core.fleet import FleetServer, packaged
from argosy_core.secrets.secret_store import open_secrets
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.identity import RunTokens
from argosy_core.serving.server import ArgosyServer
from argosy_core.serving.shaping import shape_error
from argosy_core.serving.toolbox import CLASS_META, may_call
from argosy_core.types import ActionClass, Caller, Role
from argosy_core.views.vault_reader import VaultReader
from argosy_host.catalog import ToolInfo
from argosy_host.guarded.client_call import ClientCall, Request, ToolAnswer, context_of
from argosy_host.guarded.client_fleet import redacted
from argosy_host.guarded.client_run import Behind, ClientRun
from argosy_host.guarded.clients import Clients
from argosy_host.guarded.composed import Composed
from argosy_host.guarded.judged_reading import JudgedReading
from argosy_host.guarded.person import asked_before
from argosy_host.reading import JudgedReads
from argosy_host.running.book import book_of


@dataclass(frozen=True, slots=True)
class Asked:
    """A call as it came in: *part* is the server of ours that has the tool, None for a foreign server's."""

    ctx: Request
    params: CallToolRequestParams
    caller: Caller
    part: ArgosyServer | None


class Guard:
    """Stands between the clients of one gateway and the tools; *parts* are the servers that it shows.

    What *tokens* signs, the parts must believe: they were made with its public key.
    """

    def __init__(
        self, config: ServerConfig, tokens: RunTokens, parts: Sequence[ArgosyServer], *, shows_foreign: bool = True
    ) -> None:
        config = replace(config, host_key=tokens.public_key)
        self._config = config
        self._tokens = tokens
        self._own = {part.short_name: part for part in parts}
        self._known: dict[str, Mapping[str, ToolInfo]] = {}
        self._reading = JudgedReading(config.store.files, config.agent, config.clock) if config.agent else None
        self._composed = Composed(config, tokens, self._own, shows_foreign=shows_foreign)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Clients]:
        """Clients may call while the block runs."""
        config = self._config
        secrets = open_secrets(VaultReader(config.store.files), clock=config.clock, ids=config.ids)
        book = book_of(config.store, config.clock, config.ids)
        clients = Clients(Behind(config, self._tokens, self._composed, secrets, book, self._own, self._own_tools))
        async with clients.open():
            yield clients

    async def foreign_tools(self) -> list[Tool]:
        """The tools of foreign servers as clients see them; none when their servers cannot be reached."""
        try:
            fleet = await self._composed.foreign()
        except ArgosyError:
            return []
        return [_shown(tool) for tool in fleet.catalog.all() if not tool.own] if fleet else []

    async def call(self, asked: Asked, clients: Clients) -> ToolAnswer:
        """What the client gets. A failure is in it."""
        entry = asked.part.entries.get(asked.params.name) if asked.part is not None else None
        reads = JudgedReads()
        try:
            if entry is not None and not may_call(entry, asked.caller.role):
                return await self._straight(asked)  # the server says who may
            if entry is not None and entry.action_class is ActionClass.READ_ONLY:
                if self._reading is not None and entry.role is Role.AGENT:
                    reads = await self._reading.now()
                if not reads.covers(entry.name):
                    return await self._straight(asked)
            tool = await self._tool(asked)
        except ArgosyError as error:
            return shape_error(error)
        if tool is None:
            return shape_error(
                NotFound(f"there is no tool {asked.params.name!r} here", hint="tools/list shows the tools")
            )
        return await self._above_reading(asked, tool, await clients.of(asked.ctx, asked.caller), reads)

    async def _straight(self, asked: Asked) -> ToolAnswer:
        part, params = asked.part, asked.params
        assert part is not None
        return redacted(await part.call_tool(params.name, params.arguments or {}, context_of(part, asked.ctx, params)))

    async def _tool(self, asked: Asked) -> ToolInfo | None:
        """What the gate knows of the tool that is called. Raises Unavailable (a foreign server)."""
        part, name = asked.part, asked.params.name
        if part is None:
            fleet = await self._composed.foreign()
            found = fleet.catalog.get(name) if fleet else None
            return found if found is not None and not found.own else None
        if name in part.entries:
            return (await self._infos(part)).get(name)
        listed = await part.tools_for(asked.ctx.meta)
        return next((_tool_info(part, tool) for tool in listed if tool.name == name), None)

    async def _infos(self, part: ArgosyServer) -> Mapping[str, ToolInfo]:
        """The tools of *part* that are always there; made when the first of them is called above reading."""
        known = self._known.get(part.short_name)
        if known is None:
            await part.list_tools()  # with its schemas at hand
            known = await to_thread.run_sync(_describe, part)
            self._known[part.short_name] = known
        return known

    async def _own_tools(self) -> Sequence[ToolInfo]:
        return [tool for part in self._own.values() for tool in (await self._infos(part)).values()]

    async def _above_reading(self, asked: Asked, tool: ToolInfo, run: ClientRun, reads: JudgedReads) -> ToolAnswer:
        answers = asked_before(asked.params)
        if answers is not None:
            # The answer was ours to ask for: the tool has asked nothing.
            params = asked.params.model_copy(update={"request_state": None, "input_responses": None})
            call = ClientCall(asked.ctx, params, asked.caller, tool)
            return await run.answered(call, *answers)
        call = ClientCall(asked.ctx, asked.params, asked.caller, tool)
        if tool.role is not Role.AGENT:
            return await run.performed(call)
        return await run.judged(call, reads)


def _describe(part: ArgosyServer) -> Mapping[str, ToolInfo]:
    return {name: _tool_info(part, entry.definition) for name, entry in part.entries.items()}


def _tool_info(part: ArgosyServer, definition: Tool) -> ToolInfo:
    return ToolInfo.of(_own(part.short_name), definition, part.version or "")


def _own(name: str) -> FleetServer:
    found = next((server for server in packaged().servers if server.name == name), None)
    return found or FleetServer(
        name=name, title=name, description="", transport="in_process", own=True, entry_point=name, command=(),
        url=None, env=(), tools={},
    )  # fmt: skip


def _shown(tool: ToolInfo) -> Tool:
    meta: Mapping[str, Any] = {CLASS_META: tool.action_class.value}
    return Tool(name=tool.name, description=tool.description, input_schema=dict(tool.input_schema), _meta=dict(meta))
