"""The running process's side of the relay: a private socket at which thin clients ask for a server.

The folder is the user's alone (0700); the peer must be the same user, and must mean the same vault, store and version.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from argosy_core.errors import ArgosyError, PermissionDenied
from argosy_core.serving.stdio import MAX_LINE_BYTES, serve_lines
from argosy_host.runtime import Facts, Place

HELLO_SECONDS = 5.0
MAX_HELLO_BYTES = 1 << 16
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: struct ucred of Linux

MakeServer = Callable[[Mapping[str, Any]], Any]
"""What a hello asks for → the server to serve it with. Raises ArgosyError."""
Handler = Callable[[Mapping[str, Any], SocketStream, BufferedByteReceiveStream], Awaitable[None]]
Prepare = Callable[[Mapping[str, Any]], Handler]
"""What a hello asks for → who does it. Raises ArgosyError to send the client away."""


class _Lines:
    """A socket's lines as text; one that is too long or not UTF-8 ends the connection."""

    def __init__(self, stream: BufferedByteReceiveStream) -> None:
        self._stream = stream

    def __aiter__(self) -> _Lines:
        return self

    async def __anext__(self) -> str:
        try:
            return (await self._stream.receive_until(b"\n", MAX_LINE_BYTES)).decode()
        except (
            anyio.IncompleteRead,
            anyio.DelimiterNotFound,
            anyio.BrokenResourceError,
            anyio.ClosedResourceError,
            UnicodeDecodeError,
        ):
            raise StopAsyncIteration from None


class _Output:
    """Answers to a socket; a client that went away is no error."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream

    async def write(self, text: str, /) -> None:
        try:
            await self._stream.send(text.encode())
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return

    async def flush(self) -> None:
        return


class Door:
    """Serves the private socket of one running process."""

    def __init__(self, place: Place, facts: Facts, make_server: MakeServer, handlers: Mapping[str, Prepare]) -> None:
        self._place = place
        self._facts = facts
        self._make_server = make_server
        self._handlers = handlers
        self.clients = 0

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled."""
        async with await anyio.create_unix_listener(self._place.socket, mode=0o600) as listener:
            task_status.started()
            await listener.serve(self._attend)

    async def _attend(self, stream: SocketStream) -> None:
        try:
            async with stream:
                buffered = BufferedByteReceiveStream(stream)
                try:
                    hello = await self._greet(stream, buffered)
                except ArgosyError as error:
                    await self._reply(stream, {"ok": False, "error": str(error)})
                    return
                await self._answer(hello, stream, buffered)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
            return

    async def _greet(self, stream: SocketStream, buffered: BufferedByteReceiveStream) -> Mapping[str, Any]:
        _check_peer(stream)
        try:
            with anyio.fail_after(HELLO_SECONDS):
                found: object = json.loads(await buffered.receive_until(b"\n", MAX_HELLO_BYTES))
        except (TimeoutError, ValueError, anyio.IncompleteRead, anyio.DelimiterNotFound) as exc:
            raise PermissionDenied("no proper greeting") from exc
        if not isinstance(found, dict):
            raise PermissionDenied("no proper greeting")
        hello = cast("dict[str, Any]", found)
        for name in ("vault", "store", "version"):
            if hello.get(name) != getattr(self._facts, name):
                raise PermissionDenied(f"the running process has another {name}")
        return hello

    async def _answer(
        self, hello: Mapping[str, Any], stream: SocketStream, buffered: BufferedByteReceiveStream
    ) -> None:
        wanted = str(hello.get("want", "serve"))
        prepare = self._handlers.get(wanted)
        try:
            handler = prepare(hello) if prepare else self._serving(hello)
        except ArgosyError as error:
            await self._reply(stream, {"ok": False, "error": str(error)})
            return
        await self._reply(stream, {"ok": True})
        await handler(hello, stream, buffered)

    def _serving(self, hello: Mapping[str, Any]) -> Handler:
        server = self._make_server(hello)

        async def serve(_: Mapping[str, Any], stream: SocketStream, rest: BufferedByteReceiveStream) -> None:
            self.clients += 1
            try:
                await serve_lines(server, _Lines(rest), _Output(stream))
            finally:
                self.clients -= 1

        return serve

    async def _reply(self, stream: SocketStream, answer: Mapping[str, Any]) -> None:
        await stream.send(json.dumps(answer).encode() + b"\n")


def _check_peer(stream: SocketStream) -> None:
    """Raises PermissionDenied unless the other end runs as this user."""
    raw: socket.socket = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - a socket, not a query
    if not hasattr(socket, "SO_PEERCRED"):
        return  # the folder's mode alone keeps others out
    _, uid, _ = _CREDENTIALS.unpack(raw.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    if uid != os.getuid():
        raise PermissionDenied("another user's process")
