"""A client's messages as the SDK's loops read and write them, with no task and no queue between loop and wire."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Protocol

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter


class LineWriter(Protocol):
    """Where answers go: whole lines of text."""

    async def write(self, text: str, /) -> object: ...
    async def flush(self) -> object: ...


class Incoming:
    """The SDK's ``ReadStream`` over lines: a message each, or why the line is none. Messages held come first."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
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
        line = await anext(self._lines)
        try:
            return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
        except Exception as error:  # the loops pass it on: a bad line ends nothing
            return error

    async def aclose(self) -> None:
        """Nothing to do: who gave the lines ends them."""

    async def __aenter__(self) -> Incoming:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()


class Outgoing:
    """The SDK's ``WriteStream`` to a writer: one message a line, whole, in the order they are sent."""

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer
        self._turn = asyncio.Lock()
        self._is_closed = False

    async def send(self, item: SessionMessage, /) -> None:
        """Write *item*. Raises anyio.ClosedResourceError after `aclose`."""
        async with self._turn:
            if self._is_closed:
                raise anyio.ClosedResourceError
            await self._writer.write(item.message.model_dump_json(by_alias=True, exclude_unset=True) + "\n")
            await self._writer.flush()

    async def aclose(self) -> None:
        """Take no more. Idempotent."""
        self._is_closed = True

    async def __aenter__(self) -> Outgoing:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()
