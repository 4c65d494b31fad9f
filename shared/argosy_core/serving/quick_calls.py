"""Tool calls answered without the rounds that a plain one does not need.

The SDK reads a call twice, against the protocol's version and against its own types, and writes the answer twice, as a
model and again against the version. A call of nothing but a name, arguments and an envelope that was read before needs
neither: its answer is made in the form of the wire here. Everything else goes the SDK's way, to the same answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp_types import SERVER_INFO_META_KEY, CallToolResult, Implementation
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

_MODERN_VERSIONS = frozenset(MODERN_PROTOCOL_VERSIONS)
_REMEMBERED = 8
_PLAIN = frozenset({"name", "arguments", "_meta"})


class PlainCall(NamedTuple):
    """A call of a tool that asks for nothing but an answer."""

    tool: str
    arguments: dict[str, Any]
    meta: Mapping[str, Any] | None


class Answering(Protocol):
    """What is asked of the server."""

    def takes_plainly(self, tool: str) -> bool:
        """Whether *tool* wants nothing of the request but its arguments and who calls."""
        ...

    async def answer_plainly(self, call: PlainCall) -> CallToolResult:
        """The answer to *call*, of a tool that `takes_plainly`."""
        ...


class QuickCalls(ServerMiddleware[Any]):
    """The innermost middleware: an answer of it goes to the wire as it is."""

    def __init__(self, server: Answering, info: Implementation) -> None:
        self._server = server
        # Who wants to see the server's face asks once: it need not come with every answer.
        self._stamp = {"name": info.name, "version": info.version}
        # The last envelopes that the SDK found sound: a client's is the same with every call.
        self._read: deque[Mapping[str, Any]] = deque(maxlen=_REMEMBERED)

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.method != "tools/call":
            return await call_next(ctx)
        call = _plain(ctx.params)
        if call is None or not self._server.takes_plainly(call.tool):
            return await call_next(ctx)
        if call.meta is not None and call.meta not in self._read:
            result = await call_next(ctx)
            self._read.append(call.meta)  # it would have raised
            return result
        return self._written(await self._server.answer_plainly(call), ctx.protocol_version in _MODERN_VERSIONS)

    def _written(self, result: CallToolResult, is_modern: bool) -> dict[str, Any]:
        written: dict[str, Any] = {
            "content": [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in result.content]
        }
        if result.structured_content is not None:
            written["structuredContent"] = result.structured_content
        written["isError"] = result.is_error
        meta: dict[str, Any] = dict(result.meta or {})
        if is_modern:
            written["resultType"] = result.result_type
            meta[SERVER_INFO_META_KEY] = self._stamp
        if meta:
            written["_meta"] = meta
        return written


def _plain(params: Mapping[str, Any] | None) -> PlainCall | None:
    """The call in *params*; None when there is more in them or they are not of the form."""
    if params is None or not params.keys() <= _PLAIN:
        return None
    tool, arguments, meta = params.get("name"), params.get("arguments"), params.get("_meta")
    if not isinstance(tool, str) or not isinstance(arguments, dict | None) or not isinstance(meta, dict | None):
        return None
    return PlainCall(tool, arguments or {}, meta)
