"""The fleet as the gate of a client's run sees it: what the client asked for is done in the client's own request, what
the gate needs for itself (judge, log, desk) in the host's name.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp_types import CallToolResult, ContentBlock, InputRequiredResult, TextContent

from argosy_core.errors import NotFound
from argosy_core.secrets.redaction import PROCESS
from argosy_core.serving.identity import RUN_META
from argosy_core.serving.server import ArgosyServer
from argosy_core.types import Role
from argosy_host.catalog import ToolInfo
from argosy_host.compose import CALL_SECONDS, Fleet
from argosy_host.guarded.client_call import ClientCall, Request, ToolAnswer, context_of, current_call
from argosy_host.results import CallOutcome, outcome_of

_ASKS = CallOutcome("the client is asked for more", None)


@dataclass(slots=True)
class ClientFleet(Fleet):
    """*inner* holds judge, log, desk and the foreign servers; *owners* our own servers that the client sees.

    *sign* gives the token under which the client is known to our own servers in its run.
    """

    inner: Fleet = field(default_factory=Fleet)
    owners: Mapping[str, ArgosyServer] = field(default_factory=dict[str, ArgosyServer])
    sign: Callable[[], str | None] = lambda: None

    async def call(
        self, tool: str, arguments: Mapping[str, Any], token: str | None, *, timeout_seconds: float = CALL_SECONDS
    ) -> CallOutcome:
        """Call *tool*: what agents may call for the client whose call this is, everything else for the host."""
        info = self.catalog.get(tool)
        if info is not None and info.role is Role.AGENT:
            return await self.make(current_call.get(), info, arguments)
        if tool == "desk_ask":
            return await self._ask(current_call.get(), arguments, token)
        with as_host():
            return await self.inner.call(tool, arguments, token, timeout_seconds=timeout_seconds)

    async def make(self, call: ClientCall, info: ToolInfo, arguments: Mapping[str, Any]) -> CallOutcome:
        """Make the bound call for the client, and keep its whole result with *call*. Raises ArgosyError."""
        if not info.own:
            call.result = redacted(await self.inner.send(info.name, arguments, None))
        elif (part := self.owners.get(info.server)) is None:
            raise NotFound(f"there is no tool {info.name!r} here", hint="tools/list shows the tools")
        else:
            surroundings = context_of(part, with_token(call.ctx, self.sign()), call.params)
            call.result = redacted(await part.call_tool(info.remote_name, dict(arguments), surroundings))
        return _ASKS if isinstance(call.result, InputRequiredResult) else outcome_of(call.result)

    async def _ask(self, call: ClientCall, arguments: Mapping[str, Any], token: str | None) -> CallOutcome:
        """Ask a person, unless the same client has asked about the same call before and nobody acted on it yet."""
        bound: Mapping[str, Any] = arguments.get("binding") or {}
        binding = {**bound, "client": call.caller.principal}
        with as_host():
            outcome = await self.inner.call("desk_ask", {**arguments, "binding": binding, "same_call": True}, token)
        if not outcome.is_error:
            call.question = outcome.structured
        return outcome


@contextmanager
def as_host() -> Generator[None]:
    """What is called in the block is not the client's, whose bearer token may be on the request."""
    token = auth_context_var.set(None)
    try:
        yield
    finally:
        auth_context_var.reset(token)


def with_token(ctx: Request, token: str | None) -> Request:
    """*ctx* with *token* as its run token, and no other."""
    meta = {name: value for name, value in (ctx.meta or {}).items() if name != RUN_META}
    return replace(ctx, meta=cast("Any", meta | ({RUN_META: token} if token else {})))


def redacted(result: ToolAnswer) -> ToolAnswer:
    """*result* without the value of any secret that this process handed out."""
    if not isinstance(result, CallToolResult):
        return result
    result.structured_content = PROCESS.redact_json(result.structured_content)
    result.content = [_redacted_block(block) for block in result.content]
    result.meta = PROCESS.redact_json(result.meta)
    return result


def _redacted_block(block: ContentBlock) -> ContentBlock:
    if isinstance(block, TextContent):
        text = PROCESS.redact_text(block.text)
        return block if text == block.text else block.model_copy(update={"text": text})
    shown = block.model_dump(mode="json", by_alias=True)
    clean = PROCESS.redact_json(shown)
    return block if clean == shown else type(block).model_validate(clean)
