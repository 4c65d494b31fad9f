"""Tool calls answered without the rounds that a plain one does not need.

The SDK reads a call twice, against the protocol's version and against its own types, and writes the answer twice, as a
model and again against the version. A call of nothing but a name, arguments and an envelope that was read before needs
neither: its answer is made in the form of the wire here. Everything else goes the SDK's way, to the same answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, cast

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp_types import SERVER_INFO_META_KEY, CallToolResult, Implementation
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from argosy_core.serving.tracing import spans_are_taken

_MODERN_VERSIONS = frozenset(MODERN_PROTOCOL_VERSIONS)
_REMEMBERED = 8
_MOST_CHARACTERS = 8192  # of an envelope: what is larger is not worth its place
# Many clients number their calls with it. No tool that is plain tells how far it is.
_NUMBER = "progressToken"
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
    """Answers plain calls: as the innermost middleware wherever the SDK serves, and before all of that (`answer`) where
    this package does. What it gives goes to the wire as it is."""

    def __init__(self, server: Answering, info: Implementation) -> None:
        self._server = server
        # Who wants to see the server's face asks once: it need not come with every answer.
        self._stamp = {"name": info.name, "version": info.version}
        # By era, the last envelopes that the SDK found sound: but for a number, a client's is the same with every call.
        self._read = {era: deque[Mapping[str, Any]](maxlen=_REMEMBERED) for era in (True, False)}

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.method != "tools/call":
            return await call_next(ctx)
        is_modern = ctx.protocol_version in _MODERN_VERSIONS
        # Who did not shake hands yet is refused further in.
        is_known = is_modern or ctx.session.client_params is not None
        if is_known and (call := self._plain(ctx.params, is_modern)) is not None:
            return self._written(await self._server.answer_plainly(call), is_modern)
        result = await call_next(ctx)
        self.remember(ctx.params, is_modern)  # it would have raised
        return result

    async def answer(self, params: Mapping[str, Any] | None, *, is_modern: bool) -> dict[str, Any] | None:
        """The answer to a call with *params* from a client of that era; None when it is to go the SDK's way."""
        call = None if spans_are_taken() else self._plain(params, is_modern)
        return None if call is None else self._written(await self._server.answer_plainly(call), is_modern)

    def _plain(self, params: Mapping[str, Any] | None, is_modern: bool) -> PlainCall | None:
        """The call in *params*; None when there is more in them, or something that was not read before."""
        if params is None or not params.keys() <= _PLAIN:
            return None
        tool, arguments, meta = params.get("name"), params.get("arguments"), params.get("_meta")
        if not isinstance(tool, str) or not isinstance(arguments, dict | None):
            return None
        if not self._is_read(meta, is_modern) or not self._server.takes_plainly(tool):
            return None
        return PlainCall(tool, arguments or {}, meta)

    def _is_read(self, meta: Any, is_modern: bool) -> bool:
        if not isinstance(meta, dict):
            return meta is None and not is_modern
        envelope = cast("dict[str, Any]", meta)
        return isinstance(envelope.get(_NUMBER, 0), int | str) and _lasting(envelope) in self._read[is_modern]

    def remember(self, params: Mapping[str, Any] | None, is_modern: bool) -> None:
        """Take the envelope of a call that the SDK has read for sound."""
        meta = (params or {}).get("_meta")
        if not isinstance(meta, dict):
            return
        lasting = _lasting(cast("dict[str, Any]", meta))
        if lasting not in self._read[is_modern] and len(repr(lasting)) <= _MOST_CHARACTERS:
            self._read[is_modern].append(lasting)

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


def _lasting(meta: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of an envelope is the same with a client's next call."""
    return {name: value for name, value in meta.items() if name != _NUMBER} if _NUMBER in meta else meta
