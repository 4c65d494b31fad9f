"""One call of a client: what was asked, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context
from mcp_types import CallToolRequestParams, CallToolResult, InputRequiredResult

from argosy_core.serving.server import ArgosyServer
from argosy_core.types import Caller
from argosy_host.catalog import ToolInfo

Request = ServerRequestContext[Any, Any]
ToolAnswer = CallToolResult | InputRequiredResult


@dataclass(slots=True)
class ClientCall:
    """*caller* is who the client is; *result* is set once a tool was called for it, *question* once a person was asked.

    *ctx* has no run token but the one that the gateway put there.
    """

    ctx: Request
    params: CallToolRequestParams
    caller: Caller
    tool: ToolInfo
    result: ToolAnswer | None = None
    question: Mapping[str, Any] | None = None


current_call: ContextVar[ClientCall] = ContextVar("argosy_client_call")
"""The call that the gate is at: it knows only what it binds, and what is bound is made for this client."""


def context_of(part: ArgosyServer, ctx: Request, params: Any) -> Context[Any, Any]:
    """The surroundings of a call to *part* that came in as *ctx* with *params*."""
    return Context(request_context=ctx, mcp_server=part, input_params=params, subscriptions=part.bus)
