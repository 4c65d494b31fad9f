"""The server every member of the fleet is: the SDK's MCPServer with the contract's rules around its tools."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import anyio
from anyio import to_thread
from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError
from mcp.server.subscriptions import SubscriptionBus
from mcp.shared.exceptions import MCPError
from mcp.shared.uri_template import UriTemplate
from mcp_types import (
    INVALID_REQUEST,
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    InputRequiredResult,
    PromptReference,
    ReadResourceRequestParams,
    ReadResourceResult,
    ResourceTemplateReference,
)
from mcp_types import Tool as MCPTool
from pydantic import ValidationError

from argosy_core import __version__
from argosy_core.errors import ArgosyError, InvalidArgument, NotFound, PermissionDenied
from argosy_core.serving.announce import Announcer, LegacySubscriptions
from argosy_core.serving.completion import Completions
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.documents import DocumentServer
from argosy_core.serving.icons import icon_of
from argosy_core.serving.identity import TokenVerifier, WhoCalls, identify
from argosy_core.serving.quick_calls import PlainCall, QuickCalls
from argosy_core.serving.results import DoctorFinding, DoctorReport, Health
from argosy_core.serving.schema_cache import fill_schemas
from argosy_core.serving.shaping import explain_crash, explain_validation, shape_error, shape_result
from argosy_core.serving.toolbox import ToolBox, ToolEntry, may_call
from argosy_core.serving.tracing import trace_when_taken
from argosy_core.types import ActionClass, Caller, Role

_lister: ContextVar[Caller | None] = ContextVar("argosy_lister", default=None)


class Domain(Protocol):
    """What the base asks of a server's own code."""

    async def counts(self, agent: str | None) -> dict[str, int]:
        """How much of what it keeps, for the status."""
        ...

    async def doctor(self, agent: str | None) -> Sequence[DoctorFinding]:
        """What is wrong, each with a fix."""
        ...

    def uris_of(self, path: str) -> Sequence[str]:
        """The resources that a change of the vault's file *path* touches."""
        ...


class ArgosyServer(DocumentServer):
    """One server of the fleet.

    *background* is called after the last client has left. *changes_tools* and *changes_prompts* say whether a change of
    the vault's file at a path may change which of them there are; then clients are told to list them anew.
    """

    def __init__(
        self,
        name: str,
        config: ServerConfig,
        domain: Domain,
        tools: ToolBox,
        *,
        title: str,
        instructions: str,
        background: Callable[[], Any] | None = None,
        changes_tools: Callable[[str], bool] | None = None,
        changes_prompts: Callable[[str], bool] | None = None,
    ) -> None:
        self.short_name = name
        # Work that the host's background process does for this server, until the event is set.
        self.workers: list[Callable[[anyio.Event], Awaitable[None]]] = []
        self.config = config
        self.domain = domain
        self._verifier = TokenVerifier(config.host_key, config.clock)
        self._launched = Caller(agent=config.agent, role=config.role, source="flag")
        self._background = background
        self._announcer = Announcer(config.store.bell, domain.uris_of, changes_tools, changes_prompts)
        self.completions = Completions()
        self._users = 0
        self._users_guard = threading.Lock()
        self._add_own_tools(tools)
        self.entries = tools.entries
        self._has_schemas = False
        super().__init__(
            name,
            title=title,
            instructions=instructions,
            version=__version__,
            icons=[icon_of(name)],
            log_level=config.log_level,
            lifespan=_lifespan,
            subscriptions=self._announcer.bus,
            middleware=[self._remember_lister],
        )
        # The SDK has no public way to its lower layer, where the 2025 subscriptions are registered.
        LegacySubscriptions(self.bus).serve(self._lowlevel_server)
        trace_when_taken(self._lowlevel_server)
        self._lowlevel_server.get_tool_input_schema = self.input_schema_of
        self.quick = QuickCalls(self, self._lowlevel_server.server_info)
        self.middleware.append(self.quick)
        self._add_status_resource()
        self._lowlevel_server.add_request_handler("completion/complete", CompleteRequestParams, self.complete)

    # Who calls

    @property
    def lister(self) -> Caller:
        """Who asked for the list that is being made; outside of one, who the server was started for."""
        return _lister.get() or self._launched

    def caller_of(self, ctx: Context[Any, Any] | None) -> Caller:
        """The caller of the request behind *ctx*. Raises Unauthenticated for a bad token."""
        return identify(_meta_of(ctx), self._launched, self._verifier)

    async def resource_of(self, read: Callable[..., Awaitable[str]], *arguments: str) -> str:
        """A document of the launched agent for a resource: *read* is called with the agent's name and *arguments*.

        Raises ResourceNotFoundError or ResourceError, as the SDK wants it.
        """

        async def read_own(caller: Caller) -> str:
            return await read(need_agent(caller), *arguments)

        return await self.document_of(read_own)

    async def document_of(self, read: Callable[..., Awaitable[str]], *arguments: str) -> str:
        """The same for what needs no agent: *read* is called with the launched caller and *arguments*."""
        try:
            return await read(self._launched, *arguments)
        except NotFound as error:
            raise ResourceNotFoundError(str(error)) from error
        except ArgosyError as error:
            raise ResourceError(f"{error.code}: {error}") from error

    async def _remember_lister(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.method != "tools/list":
            return await call_next(ctx)
        token = _lister.set(self._lister_of(ctx.meta))
        try:
            return await call_next(ctx)
        finally:
            _lister.reset(token)

    def _lister_of(self, meta: Mapping[str, Any] | None) -> Caller:
        try:
            return identify(meta, self._launched, self._verifier)
        except ArgosyError as error:  # a list has no result that could say so
            raise MCPError(code=INVALID_REQUEST, message=f"{error.code}: {error}") from error

    # Tools

    @property
    def bus(self) -> SubscriptionBus:
        """Where this server's change notices are published."""
        return self._announcer.bus

    async def tools_for(self, meta: Mapping[str, Any] | None) -> list[MCPTool]:
        """The tools shown to the caller of a request with *meta*."""
        token = _lister.set(self._lister_of(meta))
        try:
            return await self.list_tools()
        finally:
            _lister.reset(token)

    async def owns_tool(self, name: str) -> bool:
        """Whether *name* is one of this server's tools; overridden by servers whose tools come and go."""
        return name in self.entries

    async def complete(self, ctx: ServerRequestContext[Any, Any], params: CompleteRequestParams) -> CompleteResult:
        """The answer to ``completion/complete``, of this server or of one in front of it."""
        # Who asks counts, and not who started the server: names are no less somebody's own than what they name.
        caller, place = self._lister_of(ctx.meta), place_of(params.ref)
        found = await self.completions.complete(caller, place, params.argument.name, params.argument.value)
        return CompleteResult(completion=found)

    async def owns_resource(self, uri: str) -> bool:
        """Whether *uri* is one of this server's resources, static or by template."""
        if any(str(resource.uri) == uri for resource in await self.list_resources()):
            return True
        templates = await self.list_resource_templates()
        return any(UriTemplate.parse(template.uri_template).match(uri) is not None for template in templates)

    async def answer_resource(
        self, ctx: ServerRequestContext[Any, Any], params: ReadResourceRequestParams
    ) -> ReadResourceResult | InputRequiredResult:
        """The answer to ``resources/read`` for a server that stands in front of this one."""
        return await self._handle_read_resource(ctx, params)

    async def list_tools(self) -> list[MCPTool]:
        if not self._has_schemas:
            await to_thread.run_sync(fill_schemas, self.short_name, list(self.entries.values()))
            self._has_schemas = True
        return [entry.definition for entry in self.entries_for(self.lister.role)]

    def input_schema_of(self, name: str) -> dict[str, Any] | None:
        """What the tool *name* takes, None when there is none; for those who check headers against it."""
        entry = self.entries.get(name)
        return None if entry is None else entry.schemas.input

    def entries_for(self, role: Role) -> list[ToolEntry]:
        """The tools that *role* is shown: all it may call, cut to the default profile for agents."""
        every = role is not Role.AGENT or self.config.profile == "full"
        return [e for e in self.entries.values() if may_call(e, role) and (every or e.default)]

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[None, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        return await self._answer(PlainCall(name, arguments, _meta_of(context)), context)

    def takes_plainly(self, tool: str) -> bool:
        entry = self.entries.get(tool)
        return entry is not None and entry.is_plain

    async def answer_plainly(self, call: PlainCall) -> CallToolResult:
        result = await self._answer(call, None)
        assert isinstance(result, CallToolResult)  # who does not see the request has nobody to ask
        return result

    async def _answer(
        self, call: PlainCall, context: Context[None, Any] | None
    ) -> CallToolResult | InputRequiredResult:
        name = call.tool
        try:
            caller = identify(call.meta, self._launched, self._verifier)
            entry = self._callable_entry(name, call.arguments, caller)
            surroundings = None if entry.is_plain else context or Context(mcp_server=self)
            value: Any = await entry.run(call.arguments, caller, surroundings)
            return value if isinstance(value, InputRequiredResult) else shape_result(value)
        except ArgosyError as error:
            return shape_error(error)
        except ToolError as error:
            return shape_error(_cause(name, error))
        except MCPError:
            raise
        except Exception as error:  # the SDK would pass its text on
            return shape_error(explain_crash(name, error))

    def _callable_entry(self, name: str, arguments: dict[str, Any], caller: Caller) -> ToolEntry:
        entry = self.entries.get(name)
        if entry is None:
            raise NotFound(f"there is no tool {name!r} here", hint="tools/list shows the tools")
        if not may_call(entry, caller.role):
            hint = (
                "an operator may: --role operator"
                if entry.role is Role.OPERATOR
                else "only the host or an operator may"
            )
            raise PermissionDenied(f"{name} is not for the role {caller.role.value}", hint=hint)
        properties: dict[str, Any] = entry.tool.parameters.get("properties", {})
        unknown = sorted(arguments.keys() - properties.keys())
        if unknown:
            raise InvalidArgument(
                f"{name} does not take {', '.join(unknown)}", hint=f"it takes: {', '.join(properties) or 'nothing'}"
            )
        return entry

    def _add_own_tools(self, tools: ToolBox) -> None:
        title = self.short_name.capitalize()

        async def status(caller: WhoCalls) -> Health:
            return await self.health(caller)

        async def doctor(caller: WhoCalls) -> DoctorReport:
            findings = await self.domain.doctor(caller.agent)
            return DoctorReport(server=self.short_name, findings=list(findings))

        status.__name__ = f"{self.short_name}_status"
        status.__doc__ = f"Version, store, counts and health of the {self.short_name} server."
        doctor.__name__ = f"{self.short_name}_doctor"
        doctor.__doc__ = f"Check what the {self.short_name} server keeps; every finding comes with a fix."
        tools.tool(f"{title} status")(status)
        tools.tool(f"{title} doctor", ActionClass.READ_ONLY, role=Role.OPERATOR)(doctor)

    async def health(self, caller: Caller) -> Health:
        """What `<server>_status` answers."""
        problems: list[str] = []
        counts: dict[str, int] = {}
        try:
            counts = await self.domain.counts(caller.agent)
        except ArgosyError as error:
            problems.append(str(error))
        return Health(
            server=self.short_name,
            version=__version__,
            store=self.config.store.address.kind,
            agent=caller.agent,
            role=caller.role.value,
            healthy=not problems,
            counts=counts,
            problems=problems,
        )

    def _add_status_resource(self) -> None:
        async def read_status() -> str:
            return (await self.health(self._launched)).model_dump_json()

        self.resource(
            f"{self.short_name}://status",
            name=f"{self.short_name}_status",
            title=f"{self.short_name.capitalize()} status",
            description=f"State of the {self.short_name} server as JSON",
            mime_type="application/json",
        )(read_status)

    # Life

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Background work while the block runs; entered by every connection, started and ended once."""
        with self._users_guard:
            self._users += 1
            first = self._users == 1
        if first:
            await self._start()
        try:
            yield
        finally:
            with self._users_guard:
                self._users -= 1
                last = self._users == 0
            if last:
                await self._finish()

    async def _start(self) -> None:
        self._announcer.start()
        self.config.store.start()

    async def _finish(self) -> None:
        self._announcer.stop()
        try:
            if self._background is not None:
                stopped: Awaitable[None] = self._background()
                await stopped
        finally:
            await self.config.store.stop()


@asynccontextmanager
async def _lifespan(server: MCPServer[None]) -> AsyncGenerator[None]:
    assert isinstance(server, ArgosyServer)
    async with server.running():
        yield


def place_of(ref: PromptReference | ResourceTemplateReference) -> str:
    """What `Completions` knows a reference by."""
    return ref.name if isinstance(ref, PromptReference) else str(ref.uri)


def need_agent(caller: Caller) -> str:
    """The agent whose documents a call is about. Raises InvalidArgument when nobody said which."""
    if caller.agent is None:
        raise InvalidArgument("no agent was chosen", hint="start with --agent NAME, or set default_agent in fleet.md")
    return caller.agent


def _meta_of(ctx: Context[Any, Any] | None) -> Mapping[str, Any] | None:
    try:
        return ctx.request_context.meta if ctx is not None else None
    except ValueError:  # called as a library, outside of any request
        return None


def _cause(tool: str, error: ToolError) -> ArgosyError:
    cause = error.__cause__
    if isinstance(cause, ArgosyError):
        return cause
    if isinstance(cause, ValidationError):
        return explain_validation(cause)
    return explain_crash(tool, cause)
