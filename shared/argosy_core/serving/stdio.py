"""stdio, hardened: bounded lines, strict UTF-8, and clients that probe one protocol era and then speak the other.

Some clients send ``server/discover`` (2026-07-28) and then ``initialize`` (2025-11-25) on the same pipe. The SDK fixes
the era with the first request and refuses the second; here leading probes are answered on a throw-away connection, so
the first other request decides. Everything that reaches into the SDK for this lives in this module.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import anyio
from mcp.server import MCPServer
from mcp.server.lowlevel import Server
from mcp.server.runner import serve_dual_era_loop
from mcp.shared._context_streams import create_context_streams
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCRequest

from argosy_core.serving.eras import is_modern, serve_handshake_era, serve_modern_era
from argosy_core.serving.messages import Incoming, LineWriter, Outgoing, Owed
from argosy_core.serving.quick_calls import QuickCalls
from argosy_core.serving.server import ArgosyServer
from argosy_core.serving.wire import MAX_LINE_BYTES, Lines, Output

__all__ = ["MAX_LINE_BYTES", "LineWriter", "serve_lines", "serve_stdio"]


_MOST_BEFORE = 8  # messages before the first request


async def serve_stdio(server: MCPServer[Any] | Server[Any]) -> None:
    """Serve *server* over this process's stdin and stdout until stdin ends.

    Stray prints go to stderr, and children read nothing from the wire.
    """
    lines, output = _claim_standard_streams()
    await serve_lines(server, lines, output)


async def serve_lines(server: MCPServer[Any] | Server[Any], lines: AsyncIterator[str], output: LineWriter) -> None:
    """Serve *server* to one client that writes *lines* and reads *output*, until the lines end or nobody reads."""
    lowlevel = _lowlevel(server)
    owed = Owed()
    async with lowlevel.lifespan(lowlevel) as state:
        quick = server.quick if isinstance(server, ArgosyServer) else None
        with suppress(anyio.BrokenResourceError), anyio.CancelScope() as scope:
            await _serve(lowlevel, Incoming(lines, owed), Outgoing(output, owed, scope.cancel), state, quick)


def _lowlevel(server: MCPServer[Any] | Server[Any]) -> Server[Any]:
    return server._lowlevel_server if isinstance(server, MCPServer) else server  # pyright: ignore[reportPrivateUsage]


def _claim_standard_streams() -> tuple[Lines, Output]:
    # Never closed: the reader may still block on its descriptor when the transport has ended.
    wire_in, wire_out = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return Lines(wire_in), Output(wire_out)


async def _serve(server: Server[Any], reader: Incoming, writer: Outgoing, state: Any, quick: QuickCalls | None) -> None:
    opening = await _opening(server, reader, writer, state)
    if opening is not None:
        serve = serve_modern_era if is_modern(opening) else serve_handshake_era
        await serve(server, reader, writer, state, quick)


async def _opening(server: Server[Any], reader: Incoming, writer: Outgoing, state: Any) -> JSONRPCRequest | None:
    """The first request that is no probe, which *reader* gives out again after what came before it; None when the
    client leaves without one."""
    before: list[SessionMessage | Exception] = []
    async for item in reader:
        message = item.message if isinstance(item, SessionMessage) else None
        if not isinstance(message, JSONRPCRequest):
            before = [*before, item][:_MOST_BEFORE]
        elif message.method == "server/discover":
            await _answer_probe(server, item, writer, state)
        else:
            reader.hold(*before, item)
            return message
    return None


async def _answer_probe(server: Server[Any], probe: SessionMessage | Exception, writer: Outgoing, state: Any) -> None:
    to_server, server_in = create_context_streams[SessionMessage | Exception](4)
    server_out, from_server = create_context_streams[SessionMessage](4)

    async def serve_probe() -> None:
        await serve_dual_era_loop(server, server_in, server_out, lifespan_state=state)

    async with to_server, server_in, server_out, from_server, anyio.create_task_group() as tasks:
        tasks.start_soon(serve_probe)
        await to_server.send(probe)
        await writer.send(await from_server.receive())
        await to_server.aclose()
        tasks.cancel_scope.cancel()
