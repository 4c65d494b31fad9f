"""The two ends of stdio as the transport wants them: lines of text in, whole answers out.

Reading waits in a thread that nobody waits for: a server that was told to end does, though its input stays open.
"""

from __future__ import annotations

import asyncio
import os
import select
import stat
import threading
from contextlib import suppress
from queue import SimpleQueue

from anyio import to_thread

MAX_LINE_BYTES = 4 * 1024 * 1024  # as the SDK bounds an HTTP body
_PIECE_BYTES = 64 * 1024
_Answer = asyncio.Future[str | None]


class Lines:
    """The lines of a descriptor. What is too long or not UTF-8 becomes an empty line: a message with no answer, since
    it has no readable id, after which the next one is served."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._held = bytearray()
        self._ended = False
        self._wanted: SimpleQueue[tuple[asyncio.AbstractEventLoop, _Answer]] = SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="argosy-stdin", daemon=True)

    def __aiter__(self) -> Lines:
        return self

    async def __anext__(self) -> str:
        loop = asyncio.get_running_loop()
        answer: _Answer = loop.create_future()
        self._wanted.put((loop, answer))
        if self._reader.ident is None:
            self._reader.start()
        line = await answer
        if line is None:
            raise StopAsyncIteration
        return line

    # Below: the reader's thread

    def _read(self) -> None:
        line: str | None = ""
        while line is not None:
            loop, answer = self._wanted.get()
            line = self._next()
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_settle, answer, line)

    def _next(self) -> str | None:
        searched, too_long = 0, False
        while (end := self._held.find(b"\n", searched)) < 0:
            if self._ended:
                return self._last()
            searched = len(self._held)
            if searched > MAX_LINE_BYTES:
                self._held.clear()
                searched, too_long = 0, True
            self._take()
        line = bytes(self._held[:end])
        del self._held[: end + 1]
        return "" if too_long or end > MAX_LINE_BYTES else _decoded(line)

    def _last(self) -> str | None:
        line = bytes(self._held)
        self._held.clear()
        return _decoded(line) if line else None

    def _take(self) -> None:
        try:
            piece = os.read(self._fd, _PIECE_BYTES)
        except BlockingIOError:  # a parent may share a descriptor that does not block
            select.select([self._fd], [], [])
            return
        except OSError:  # a terminal that was hung up
            piece = b""
        self._ended = not piece
        self._held += piece


class Output:
    """Where answers go: a descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._held: list[bytes] = []
        self._room = select.poll() if stat.S_ISFIFO(os.fstat(fd).st_mode) else None
        if self._room is not None:
            self._room.register(fd, select.POLLOUT)

    async def write(self, text: str, /) -> None:
        self._held.append(text.encode())

    async def flush(self) -> None:
        data = b"".join(self._held)
        self._held.clear()
        if self._takes_at_once(data):
            data = data[os.write(self._fd, data) :]
        if data:
            await to_thread.run_sync(self._write, data)

    def _takes_at_once(self, data: bytes) -> bool:
        # A pipe that has room has it for this much: most answers need no other thread.
        if self._room is None or len(data) > select.PIPE_BUF:
            return False
        return self._room.poll(0) == [(self._fd, select.POLLOUT)]

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                select.select([], [self._fd], [])


def _settle(answer: _Answer, line: str | None) -> None:
    if not answer.done():
        answer.set_result(line)


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return ""
