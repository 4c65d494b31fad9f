"""stdio, hardened: bounded lines, strict UTF-8, and clients that probe one protocol era and then speak the other.

Some clients send ``server/discover`` (2026-07-28) and then ``initialize`` (2025-11-25) on the same pipe. The SDK fixes
the era with the first request and refuses the second; here leading probes are answered on a throw-away connection, so
the first other request decides. Everything that reaches into the SDK for this lives in this module.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from typing import Any, Protocol, cast

import anyio
from mcp.server import MCPServer
from mcp.server.lowlevel import Server
from mcp.server.runner import serve_dual_era_loop
from mcp.server.stdio import stdio_server
from mcp.shared._context_streams import ContextReceiveStream, ContextSendStream, create_context_streams
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCRequest

from argosy_core.serving.wire import MAX_LINE_BYTES, Lines, Output

__all__ = ["MAX_LINE_BYTES", "LineWriter", "serve_lines", "serve_stdio"]
_Reader = ContextReceiveStream[SessionMessage | Exception]
_Writer = ContextSendStream[SessionMessage]


class _Pushback:
    """A read stream that hands out held messages first."""

    def __init__(self, inner: _Reader) -> None:
        self._inner = inner
        self._held: list[SessionMessage | Exception] = []

    @property
    def last_context(self) -> Any:
        return self._inner.last_context

    def hold(self, item: SessionMessage | Exception) -> None:
        self._held.append(item)

    async def receive(self) -> SessionMessage | Exception:
        return self._held.pop(0) if self._held else await self._inner.receive()

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> _Pushback:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> _Pushback:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def serve_stdio(server: MCPServer[Any] | Server[Any]) -> None:
    """Serve *server* over this process's stdin and stdout until stdin ends.

    Stray prints go to stderr, and children read nothing from the wire.
    """
    lines, output = _claim_standard_streams()
    await serve_lines(server, lines, output)


class LineWriter(Protocol):
    """Where answers go: whole lines of text."""

    async def write(self, text: str, /) -> object: ...
    async def flush(self) -> object: ...


async def serve_lines(server: MCPServer[Any] | Server[Any], lines: AsyncIterator[str], output: LineWriter) -> None:
    """Serve *server* to one client that writes *lines* and reads *output*, until the lines end."""
    lowlevel = _lowlevel(server)
    async with (
        stdio_server(stdin=cast("Any", lines), stdout=cast("Any", output)) as (reader, writer),
        lowlevel.lifespan(lowlevel) as state,
    ):
        await _serve(lowlevel, _Pushback(reader), writer, state)


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


async def _serve(server: Server[Any], reader: _Pushback, writer: _Writer, state: Any) -> None:
    while True:
        try:
            item = await reader.receive()
        except anyio.EndOfStream:
            await writer.aclose()  # or the transport waits for answers that nobody will write
            return
        message = item.message if isinstance(item, SessionMessage) else None
        if not (isinstance(message, JSONRPCRequest) and message.method == "server/discover"):
            reader.hold(item)
            break
        await _answer_probe(server, item, writer, state)
    await serve_dual_era_loop(server, cast("Any", reader), writer, lifespan_state=state)


async def _answer_probe(server: Server[Any], probe: SessionMessage | Exception, writer: _Writer, state: Any) -> None:
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
