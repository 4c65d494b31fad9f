"""Builds the host's own server."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult, InputRequiredResult
from mcp_types import Tool as MCPTool

from argosy_core.errors import ArgosyError
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import DEFAULT_LIMIT
from argosy_core.serving.server import ArgosyServer
from argosy_core.serving.shaping import shape_error, shape_result
from argosy_core.types import Caller
from argosy_host.running.book import book_of, inside_run
from argosy_host.running.contracts import PREFIX
from argosy_host.running.desk import MAX_WAIT_SECONDS, RunDesk
from argosy_host.running.tools import build_tools, reporter

_MARKS = ("model.md", "agent.yaml", "roster.md", "persona/IDENTITY.md")


class HostServer(ArgosyServer):
    """The host, whose tools follow the agents in the vault."""

    @property
    def desk(self) -> RunDesk:
        return cast("RunDesk", self.domain)

    async def list_tools(self) -> list[MCPTool]:
        contracts = await self.desk.contracts(self.lister)
        tools = await super().list_tools()
        output = self.entries["run_start"].schemas.output or {}
        return [*tools, *(contract.shown(output) for contract in contracts)]

    async def owns_tool(self, name: str) -> bool:
        if name in self.entries or not name.startswith(PREFIX):
            return name in self.entries
        return any(contract.tool == name for contract in await self.desk.contracts(self.lister))

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[None, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        if name in self.entries or not name.startswith(PREFIX):
            return await super().call_tool(name, arguments, context)
        try:
            caller = self.caller_of(context)
            contract = next((found for found in await self.desk.contracts(caller) if found.tool == name), None)
            if contract is None:
                return await super().call_tool(name, arguments, context)
            surroundings: Context[Any, Any] = context or Context(mcp_server=self)
            task = contract.task_of(arguments)
            state = await self.desk.start(caller, contract.agent, task, None, MAX_WAIT_SECONDS, reporter(surroundings))
            return shape_result(state)
        except ArgosyError as error:
            return shape_error(error)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        # What is composed for a run of the book is no client of it.
        if inside_run.get():
            async with super().running():
                yield
            return
        self.desk.book.enter()
        try:
            async with super().running():
                yield
        finally:
            await self.desk.book.leave()


def create(config: ServerConfig) -> HostServer:
    """The host's server for *config*; its runs are those of the store's one book."""
    desk = RunDesk(config, book_of(config.store, config.clock, config.ids))
    server = HostServer(
        "host",
        config,
        desk,
        build_tools(desk),
        title="Host",
        instructions="Agents that work by themselves: start a run, watch it, end it.",
        changes_tools=_changes_tools,
    )

    async def run_document(caller: Caller, run: str) -> str:
        return await desk.document(caller, run)

    @server.resource(
        "run://{run}", name="run", title="A run", mime_type="application/json", description="One run as far as it is"
    )
    async def run_resource(run: str) -> str:
        return await server.document_of(run_document, run)

    @server.resource(
        "host://health", name="host_health", title="Health", mime_type="application/json",
        description="Which process this is, and how many runs it goes on with",
    )  # fmt: skip
    async def health() -> str:
        return json.dumps(desk.health())

    @server.resource(
        "host://metrics", name="host_metrics", title="Metrics", mime_type="text/plain",
        description="The same numbers in the text format of Prometheus",
    )  # fmt: skip
    async def metrics() -> str:
        return f"argosy_runs_in_flight {desk.book.running}\n"

    async def runs(caller: Caller) -> list[str]:
        return [run.run for run in (await desk.listing(caller, None, DEFAULT_LIMIT, None)).items]

    server.completions.add_names(runs, ("run://{run}", "run"))
    return server


def _changes_tools(path: str) -> bool:
    """Whether a change of the vault's file *path* may change which agents there are, or what they are for."""
    _, _, rest = path.partition("/")
    return rest in _MARKS or not rest
