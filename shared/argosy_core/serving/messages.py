"""A client's messages as the SDK's loops read and write them, with no task and no queue between loop and wire.

The SDK's loops drop what they work on when the messages end. What was asked before the end is answered first, for a
while: who pipes a few requests into a server gets their answers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Protocol

import anyio
from mcp.shared.dispatcher import coerce_request_id
from mcp.shared.jsonrpc_dispatcher import cancelled_request_id_from_params
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse, jsonrpc_message_adapter

LAST_ANSWERS_SECONDS = 1.5  # clients that leave end a server that is still there after two
_ENDLESS = "subscriptions/listen"


class LineWriter(Protocol):
    """Where answers go: whole lines of text."""

    async def write(self, text: str, /) -> object: ...
    async def flush(self) -> object: ...


class Owed:
    """The requests that wait for an answer."""

    def __init__(self) -> None:
        self._ids: set[int | str] = set()
        self._is_settled = asyncio.Event()

    def note(self, message: Any) -> None:
        """*message* came or went."""
        if isinstance(message, JSONRPCRequest):
            if message.method != _ENDLESS:
                self._ids.add(coerce_request_id(message.id))
        elif isinstance(message, JSONRPCResponse | JSONRPCError):
            self._settle(message.id)
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._settle(cancelled_request_id_from_params(message.params))

    def _settle(self, request: int | str | None) -> None:
        if request is not None:
            self._ids.discard(coerce_request_id(request))
        if not self._ids:
            self._is_settled.set()

    async def settled(self, seconds: float) -> None:
        """Return when nothing waits any more, or after *seconds*."""
        with anyio.move_on_after(seconds):
            while self._ids:
                self._is_settled.clear()
                await self._is_settled.wait()


class Incoming:
    """The SDK's ``ReadStream`` over lines: a message each, or why the line is none. Messages held come first, and the
    end last of all: after the answers to what is *owed*."""

    def __init__(self, lines: AsyncIterator[str], owed: Owed) -> None:
        self._lines = lines
        self._owed = owed
        self._held: deque[SessionMessage | Exception] = deque()

    def hold(self, *items: SessionMessage | Exception) -> None:
        """Give *items* out again, before what was not read yet."""
        self._held.extendleft(reversed(items))

    async def receive(self) -> SessionMessage | Exception:
        """The next one. Raises anyio.EndOfStream after the last."""
        try:
            return await self.__anext__()
        except StopAsyncIteration:
            raise anyio.EndOfStream from None

    def __aiter__(self) -> Incoming:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        if self._held:
            return self._held.popleft()
        try:
            line = await anext(self._lines)
        except StopAsyncIteration:
            await self._owed.settled(LAST_ANSWERS_SECONDS)
            raise
        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
        except Exception as error:  # the loops pass it on: a bad line ends nothing
            return error
        if not isinstance(message, JSONRPCResponse | JSONRPCError):
            self._owed.note(message)
        return SessionMessage(message)

    async def aclose(self) -> None:
        """Nothing to do: who gave the lines ends them."""

    async def __aenter__(self) -> Incoming:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()


class Outgoing:
    """The SDK's ``WriteStream`` to a writer: one message a line, whole, in the order they are sent.

    *when_gone* is called once when nobody reads them any more.
    """

    def __init__(self, writer: LineWriter, owed: Owed, when_gone: Callable[[], object]) -> None:
        self._writer = writer
        self._owed = owed
        self._when_gone = when_gone
        self._turn = asyncio.Lock()
        self._is_closed = False

    async def send(self, item: SessionMessage, /) -> None:
        """Write *item*. Raises anyio.BrokenResourceError when nobody reads, anyio.ClosedResourceError after that or
        `aclose`."""
        async with self._turn:
            if self._is_closed:
                raise anyio.ClosedResourceError
            try:
                await self._writer.write(item.message.model_dump_json(by_alias=True, exclude_unset=True) + "\n")
                await self._writer.flush()
            except (BrokenPipeError, ConnectionResetError) as error:
                self._is_closed = True
                self._when_gone()
                raise anyio.BrokenResourceError from error
        if isinstance(item.message, JSONRPCResponse | JSONRPCError):
            self._owed.note(item.message)

    async def aclose(self) -> None:
        """Take no more. Idempotent."""
        self._is_closed = True

    async def __aenter__(self) -> Outgoing:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()
