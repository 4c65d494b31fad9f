"""The two eras of the protocol over one pipe, each served from its first message without a task in between.

The SDK's own loop decides the era and then passes every later message through one more task and one more queue. Here
whoever reads the first request has decided already (`is_modern`), and the SDK's dispatcher reads the pipe itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp.server.connection import Connection, NotifyOnlyOutbound
from mcp.server.lowlevel import Server
from mcp.server.runner import ServerRunner, aclose_shielded, modern_error_data, serve_one
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.dispatcher import DispatchContext
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import InboundLadderRejection, classify_inbound_request
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.message import MessageMetadata, SessionMessage
from mcp.shared.transport_context import TransportContext
from mcp_types import INVALID_REQUEST, PROTOCOL_VERSION_META_KEY, UNSUPPORTED_PROTOCOL_VERSION, JSONRPCRequest
from mcp_types.version import LATEST_MODERN_VERSION, MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from argosy_core.serving.quick_calls import QuickCalls

Reader = ReadStream[SessionMessage | Exception]
Writer = WriteStream[SessionMessage]
_Context = DispatchContext[TransportContext]
_Params = Mapping[str, Any] | None
_CALL = "tools/call"


def is_modern(request: JSONRPCRequest) -> bool:
    """Whether *request*, the first of its client, opens the era in which every request says who asks (2026-07-28)."""
    return request.method != "initialize" and _has_envelope(request.params)


def _has_envelope(params: _Params) -> bool:
    meta = (params or {}).get("_meta")
    return isinstance(meta, Mapping) and PROTOCOL_VERSION_META_KEY in meta


async def serve_handshake_era(
    server: Server[Any], reader: Reader, writer: Writer, state: Any, quick: QuickCalls | None
) -> None:
    """Serve a client of the protocol until 2025-11-25, from its ``initialize`` on, until *reader* ends.

    *quick* is asked first for the answer to a call.
    """
    dispatcher = JSONRPCDispatcher[TransportContext](reader, writer, inline_methods=frozenset({"initialize"}))
    connection = Connection.for_loop(dispatcher)
    runner = ServerRunner(server, connection, state)

    async def answer(ctx: _Context, method: str, params: _Params) -> dict[str, Any]:
        if method != "initialize" and _has_envelope(params):
            raise MCPError(INVALID_REQUEST, "this connection began with a handshake: send requests without an envelope")
        if quick is not None and method == _CALL and connection.initialize_accepted:
            answered = await quick.answer(params, is_modern=False)
            if answered is not None:
                return answered
        return await runner.on_request(ctx, method, params)

    try:
        await dispatcher.run(answer, runner.on_notify)
    finally:
        await aclose_shielded(connection)


async def serve_modern_era(
    server: Server[Any], reader: Reader, writer: Writer, state: Any, quick: QuickCalls | None
) -> None:
    """The same for a client of 2026-07-28, each of whose requests stands on its own."""
    dispatcher = JSONRPCDispatcher[TransportContext](reader, writer, transport_builder=_one_way)
    outbound = NotifyOnlyOutbound(dispatcher)

    async def answer(ctx: _Context, method: str, params: _Params) -> dict[str, Any]:
        if method == "initialize":
            raise _handshake_refused(params)
        if quick is not None and method == _CALL:
            answered = await quick.answer(params, is_modern=True)
            if answered is not None:
                return answered
        route = classify_inbound_request({"method": method, "params": params})
        if isinstance(route, InboundLadderRejection):
            raise MCPError(route.code, route.message, route.data)
        connection = Connection.from_envelope(
            route.protocol_version, route.client_info, route.client_capabilities, outbound=outbound
        )
        try:
            return await serve_one(server, ctx, method, params, connection=connection, lifespan_state=state)
        except (MCPError, ValidationError):
            raise
        except Exception as exc:
            raise MCPError.from_error_data(modern_error_data(exc)) from exc

    async def hear(ctx: _Context, method: str, params: _Params) -> None:
        connection = Connection.from_envelope(LATEST_MODERN_VERSION, None, None, outbound=outbound)
        try:
            await ServerRunner(server, connection, state).on_notify(ctx, method, params)
        finally:
            await aclose_shielded(connection)

    await dispatcher.run(answer, hear)


def _one_way(metadata: MessageMetadata) -> TransportContext:
    # In this era a server asks its client nothing on its own.
    return TransportContext(kind="jsonrpc", can_send_request=False)


def _handshake_refused(params: _Params) -> MCPError:
    supported: dict[str, Any] = {"supported": list(MODERN_PROTOCOL_VERSIONS)}
    requested = (params or {}).get("protocolVersion")
    if isinstance(requested, str):
        supported["requested"] = requested
    return MCPError(
        UNSUPPORTED_PROTOCOL_VERSION, "this connection speaks 2026-07-28, which has no handshake", supported
    )
