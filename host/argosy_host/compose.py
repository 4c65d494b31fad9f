"""Composing servers: each entry of the registry becomes a connection, in process, over stdio or over a URL.

The one module that loads the fleet's server packages (through their entry points). A server that does not start or does
not answer is named in `Fleet.problems` with the tail of its stderr; the others go on.
"""

from __future__ import annotations

import base64
import functools
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

import anyio
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.context import ClientRequestContext
from mcp.client.session import SamplingFnT
from mcp.client.stdio import stdio_client
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.types import (
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    ClientCapabilities,
    ErrorData,
    InputRequiredResult,
    InputResponses,
    SamplingCapability,
    Tool,
)
from pydantic import TypeAdapter

from argosy_core.attendance import KEY_VARIABLE
from argosy_core.errors import ArgosyError, NotFound, Unavailable
from argosy_core.fleet import FleetServer
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.identity import RUN_META
from argosy_core.serving.server import ArgosyServer
from argosy_host.catalog import Catalog, ToolInfo
from argosy_host.collector import settle
from argosy_host.results import CallOutcome, outcome_of

# How long a server may take to answer first: one of this process needs only its share of a busy machine.
START_SECONDS, OWN_START_SECONDS = 20.0, 60.0
CALL_SECONDS = 60.0
JUDGE = "judge"
STDERR_TAIL_LINES = 5
MAX_CONTEXTS = 64
DIRECT = frozenset({"log", "judge"})  # of this process: called several times around every call
# No child of a vault's naming gets these.
WITHHELD = ("ARGOSY_SECRET_", "ARGOSY_PASSPHRASE", "ARGOSY_HOST_KEY", KEY_VARIABLE)
HOST_KEY_VARIABLE = "ARGOSY_HOST_KEY"


_ANY_RESULT: TypeAdapter[CallToolResult | InputRequiredResult] = TypeAdapter(CallToolResult | InputRequiredResult)


@dataclass(slots=True)
class Fleet:
    """Connected servers and their tools."""

    clients: dict[str, Client] = field(default_factory=dict[str, Client])
    catalog: Catalog = field(default_factory=Catalog)
    problems: dict[str, str] = field(default_factory=dict[str, str])
    local: set[str] = field(default_factory=set[str])
    direct: dict[str, ArgosyServer] = field(default_factory=dict[str, ArgosyServer])
    sampled: set[str] = field(default_factory=set[str])  # those that may ask for a completion
    _contexts: dict[tuple[str, str | None], Context[Any, Any]] = field(
        default_factory=dict[tuple[str, "str | None"], "Context[Any, Any]"]
    )

    async def call(
        self, tool: str, arguments: Mapping[str, Any], token: str | None, *, timeout_seconds: float = CALL_SECONDS
    ) -> CallOutcome:
        """Call *tool*. A failure of the tool is an outcome; Unavailable is raised when its server does not answer."""
        return outcome_of(await self.send(tool, arguments, token, timeout_seconds=timeout_seconds))

    async def send(
        self, tool: str, arguments: Mapping[str, Any], token: str | None, *, timeout_seconds: float = CALL_SECONDS
    ) -> CallToolResult:
        """As `call`, with the whole result. Raises NotFound, Unavailable."""
        info = self.catalog.get(tool)
        if info is None:
            raise NotFound(f"there is no tool {tool!r}", hint="mcp-host tools lists them")
        # A run token is for our own servers only: a foreign one could act with it.
        meta: Any = {RUN_META: token} if token and info.own else None
        try:
            direct = self.direct.get(info.server)
            if direct is not None:
                with anyio.fail_after(timeout_seconds):
                    result = await direct.call_tool(
                        info.remote_name, dict(arguments), self._context(info.server, direct, token if meta else None)
                    )
                if isinstance(result, CallToolResult):
                    return result
            return await self._send(info, dict(arguments), meta, timeout_seconds)
        except TimeoutError:
            raise Unavailable(f"{info.server} did not answer {tool} in time", hint="try again") from None
        except MCPError as exc:
            raise Unavailable(f"{info.server} did not answer {tool}: {exc.message}", hint="try again") from exc
        except RuntimeError:
            # The SDK repeats the value that broke the tool's own schema; whatever it was, it goes nowhere.
            raise Unavailable(f"{info.server} gave no valid result for {tool}", hint="mend the server") from None

    def _context(self, name: str, server: ArgosyServer, token: str | None) -> Context[Any, Any]:
        """What a call without a protocol around it is made in: nothing but who calls, so that calls may share it."""
        found = self._contexts.get((name, token))
        if found is None:
            if len(self._contexts) >= MAX_CONTEXTS:
                self._contexts.clear()
            found = self._contexts[name, token] = context_of(server, {RUN_META: token} if token else None)
        return found

    async def _send(
        self, info: ToolInfo, arguments: dict[str, Any], meta: Any, timeout_seconds: float
    ) -> CallToolResult:
        client = self.clients[info.server]
        if info.server not in self.local:
            return await client.call_tool(info.remote_name, arguments, read_timeout_seconds=timeout_seconds, meta=meta)
        # The result of a server in this process is a typed model already; checking it against its own schema again
        # would cost a quarter of the call.
        params = CallToolRequestParams(name=info.remote_name, arguments=arguments, _meta=meta)
        awaited: Any = _ANY_RESULT if info.server in self.sampled else CallToolResult
        found: CallToolResult | InputRequiredResult = await client.session.send_request(
            CallToolRequest(params=params), awaited, request_read_timeout_seconds=timeout_seconds
        )
        if isinstance(found, CallToolResult):
            return found
        context = ClientRequestContext(session=client.session, request_id=info.name)
        asked = found.input_requests or {}
        answers = {key: await client.session.dispatch_input_request(context, want) for key, want in asked.items()}
        refused = next((answer for answer in answers.values() if isinstance(answer, ErrorData)), None)
        if refused is not None:
            raise MCPError(code=refused.code, message=refused.message)
        return await client.call_tool(
            info.remote_name, arguments, timeout_seconds, meta=meta, request_state=found.request_state,
            input_responses=cast("InputResponses", answers),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _NoSession:
    """Stands where a session would: whoever wants something of the client says so, and is called by the protocol."""

    client_capabilities: ClientCapabilities = field(
        default_factory=lambda: ClientCapabilities(sampling=SamplingCapability())
    )
    can_send_request: bool = False


_NO_SESSION = _NoSession()


def context_of(server: ArgosyServer, meta: Any) -> Context[Any, Any]:
    """For calling a tool of a server in this process without the protocol around it; who calls, and whether that role
    may, is looked at by the server as in any call. What needs a client first is an InputRequiredResult, and nothing is
    done."""
    request: ServerRequestContext[Any, Any] = ServerRequestContext(
        session=cast("Any", _NO_SESSION), lifespan_context=None, protocol_version="2026-07-28", method="tools/call",
        meta=meta,
    )  # fmt: skip
    return Context(request_context=request, mcp_server=server, subscriptions=server.bus)


def load_server(name: str, config: ServerConfig) -> ArgosyServer:
    """Create the server *name* of the fleet. Raises NotFound when no package offers it."""
    return _factory(name)(config)


def _factory(name: str) -> Callable[[ServerConfig], ArgosyServer]:
    for entry in _offered():
        if entry.name == name:
            factory: Callable[[ServerConfig], ArgosyServer] = entry.load()
            return factory
    try:  # a source tree that was not installed
        module = import_module(f"argosy_{name}.server")
    except ModuleNotFoundError as exc:
        raise NotFound(f"there is no server {name!r}", hint="mcp-host serve --help lists the servers") from exc
    created: Callable[[ServerConfig], ArgosyServer] = module.create
    return created


@functools.cache
def _offered() -> Sequence[EntryPoint]:
    """What the installed packages offer; finding out reads a file of every one of them."""
    return tuple(entry_points(group="argosy.servers"))


@asynccontextmanager
async def compose(
    servers: Sequence[FleetServer],
    config: ServerConfig,
    token: str | None = None,
    loaded: Mapping[str, ArgosyServer] | None = None,
    sampler: SamplingFnT | None = None,
) -> AsyncGenerator[Fleet]:
    """Connect to *servers*, side by side, and list their tools; *token* is the run they are listed for.

    Servers of this process that are in *loaded* are used as they are; the others are created from *config*. *sampler*
    makes completions for the judge, and for no other: whoever may ask for one spends the owner's money.
    """
    try:
        async with _composed(servers, config, token, loaded or {}, sampler) as fleet:
            yield fleet
    except BaseExceptionGroup as group:
        # Task groups wrap what the caller's own block raised; callers want it as it was.
        raise first_of(group) from None


@asynccontextmanager
async def _composed(
    servers: Sequence[FleetServer],
    config: ServerConfig,
    token: str | None,
    loaded: Mapping[str, ArgosyServer],
    sampler: SamplingFnT | None,
) -> AsyncGenerator[Fleet]:
    fleet = Fleet()
    stop = anyio.Event()
    async with anyio.create_task_group() as tasks:
        pending: list[anyio.Event] = []
        for server in servers:
            ready = anyio.Event()
            pending.append(ready)
            asking = sampler if server.own and server.name == JUDGE else None
            wanted = _Wanted(server, config, token, loaded.get(server.name), asking)
            tasks.start_soon(_hold, fleet, wanted, ready, stop)
        for ready in pending:
            await ready.wait()
        settle()
        fleet.catalog.order([server.name for server in servers])
        try:
            yield fleet
        finally:
            stop.set()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One connection to make."""

    server: FleetServer
    config: ServerConfig
    token: str | None
    loaded: ArgosyServer | None
    sampler: SamplingFnT | None


async def _hold(fleet: Fleet, wanted: _Wanted, ready: anyio.Event, stop: anyio.Event) -> None:
    """Keep one connection open in its own task, so that one that breaks takes no other with it."""
    server = wanted.server
    connected = False
    limit = anyio.CancelScope(deadline=anyio.current_time() + _start_seconds(server))
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        try:
            with limit:
                async with _connect(wanted, errors) as (client, local):
                    await _enlist(fleet, wanted, client, local)
                    # From here on the connection ends when the caller's block does, and not before: an interrupted run
                    # still has its end to write.
                    limit.deadline = float("inf")
                    limit.shield = True
                    connected = True
                    ready.set()
                    await stop.wait()
            if limit.cancelled_caught:
                raise TimeoutError
        except (Exception, BaseExceptionGroup) as exc:
            # A connection that is given up says in words of its own that it was.
            is_late = limit.cancel_called and not connected
            fleet.problems[server.name] = _explain(TimeoutError() if is_late else exc, errors, server, connected)
            fleet.catalog.drop(server.name)
        finally:
            ready.set()


@asynccontextmanager
async def _connect(wanted: _Wanted, errors: Any) -> AsyncGenerator[tuple[Client, ArgosyServer | None]]:
    """A client, and the server itself where that is one of this process."""
    server, config = wanted.server, wanted.config
    if server.transport == "in_process":
        local = wanted.loaded or load_server(server.entry_point or server.name, config)
        async with Client(local, mode="2026-07-28", cache=None, sampling_callback=wanted.sampler) as client:
            yield client, local
        return
    target: Any = server.url if server.transport == "url" else stdio_client(_parameters(server, config), errlog=errors)
    async with Client(
        target, cache=None, read_timeout_seconds=CALL_SECONDS, sampling_callback=wanted.sampler
    ) as client:
        yield client, None


def _parameters(server: FleetServer, config: ServerConfig) -> StdioServerParameters:
    import os

    env: dict[str, str] = {}
    for variable in server.env:  # NAME, or NAME=$SOURCE
        name, _, source = variable.partition("=$")
        if (source or name).startswith(WITHHELD) or name.startswith(WITHHELD):
            continue
        if (source or name) in os.environ:
            env[name] = os.environ[source or name]
    if not server.command:  # one of ours in a process of its own
        if config.host_key is not None:
            env[HOST_KEY_VARIABLE] = base64.b64encode(config.host_key).decode()
        # Where a URL holds no password, a database's client finds it here, or in a file of the user's.
        env |= {name: os.environ[name] for name in ("PGPASSWORD", "PGPASSFILE") if name in os.environ}
        agent = ["--agent", config.agent] if config.agent else []
        env |= config.store.address.as_environment()
        vault = str(config.store.root)
        # -P: a client's working folder must not put modules in front of ours.
        arguments = ["-P", "-m", "argosy_host", "serve", server.name, "--vault", vault, *agent]
        return StdioServerParameters(command=sys.executable, args=arguments, env=env, cwd=vault)
    command, *arguments = server.command
    return StdioServerParameters(command=command, args=arguments, env=env, cwd=str(config.store.root))


async def _enlist(fleet: Fleet, wanted: _Wanted, client: Client, local: ArgosyServer | None) -> None:
    server = wanted.server
    meta: Any = {RUN_META: wanted.token} if wanted.token and server.own else None
    if local is None:
        tools, version = await _listed(client, meta), client.server_info.version if client.server_info else ""
    else:  # typed already: nothing to write out, read back and check
        tools, version = await local.tools_for(meta), local.version
    fleet.catalog.add([ToolInfo.of(server, tool, version) for tool in tools])
    fleet.clients[server.name] = client
    if server.own and local is not None:
        fleet.local.add(server.name)
        if server.name in DIRECT:
            fleet.direct[server.name] = local
    if wanted.sampler is not None:
        fleet.sampled.add(server.name)


async def _listed(client: Client, meta: Any) -> list[Tool]:
    tools: list[Tool] = []
    cursor: str | None = None
    while True:
        page = await client.list_tools(cursor=cursor, meta=meta)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            return tools


def _start_seconds(server: FleetServer) -> float:
    return OWN_START_SECONDS if server.transport == "in_process" else START_SECONDS


def _explain(exc: BaseException, errors: Any, server: FleetServer, connected: bool) -> str:
    exc = first_of(exc)
    errors.seek(0)
    tail = " | ".join(line.strip() for line in errors.readlines()[-STDERR_TAIL_LINES:] if line.strip())
    if isinstance(exc, TimeoutError):
        what = f"did not answer within {_start_seconds(server):g} seconds"
    elif isinstance(exc, ArgosyError):
        what = str(exc)
    else:
        what = f"{'broke off' if connected else 'did not start'}: {str(exc) or type(exc).__name__}"
    return f"{what} [{tail}]" if tail else what


def first_of(exc: BaseException) -> BaseException:
    """What a task group wrapped, as it was raised."""
    if isinstance(exc, BaseExceptionGroup):
        return first_of(cast("BaseExceptionGroup[BaseException]", exc).exceptions[0])
    return exc
