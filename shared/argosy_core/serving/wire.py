"""The two ends of stdio as the transport wants them: lines of text in, whole answers out.

What can be watched (a pipe, a socket, a terminal) is read when the loop says that something is there: a call then waits
for no other thread. A file, and anything under a loop that cannot watch, is read in a thread that nobody waits for: a
server that was told to end does, though its input stays open.
"""

from __future__ import annotations

import asyncio
import os
import select
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue

from anyio import to_thread

MAX_LINE_BYTES = 4 * 1024 * 1024  # as the SDK bounds an HTTP body
_PIECE_BYTES = 64 * 1024
_Answer = asyncio.Future[str | None]


class Pieces:
    """Bytes as they come, and the lines in them."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._searched = 0
        self._is_too_long = False
        self.ended = False

    def __len__(self) -> int:
        return len(self._held)

    def take(self, piece: bytes) -> None:
        """Add what was read; nothing is the end."""
        self.ended = not piece
        self._held += piece

    def next(self) -> str | None:
        """The next line, None when there is no whole one yet; after the end, what is left."""
        end = self._held.find(b"\n", self._searched)
        if end >= 0:
            return self._cut(end, end + 1)
        if self.ended:
            return self._cut(len(self._held), len(self._held)) if self._held else None
        self._searched = len(self._held)
        if self._searched > MAX_LINE_BYTES:
            self._held.clear()
            self._searched, self._is_too_long = 0, True
        return None

    def _cut(self, end: int, following: int) -> str:
        line = "" if self._is_too_long or end > MAX_LINE_BYTES else _decoded(bytes(self._held[:end]))
        del self._held[:following]
        self._searched, self._is_too_long = 0, False
        return line


class Lines:
    """The lines of a descriptor. What is too long or not UTF-8 becomes an empty line: a message with no answer, since
    it has no readable id, after which the next one is served."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.pieces = Pieces()
        self._next: Callable[[], _Answer] | None = None

    def __aiter__(self) -> Lines:
        return self

    async def __anext__(self) -> str:
        if self._next is None:
            self._next = self._source(asyncio.get_running_loop())
        line = await self._next()
        if line is None:
            raise StopAsyncIteration
        return line

    def _source(self, loop: asyncio.AbstractEventLoop) -> Callable[[], _Answer]:
        with suppress(NotImplementedError, OSError):  # a loop of Windows; a file, which is always ready
            return Watched(self._fd, self.pieces, loop).next
        return Threaded(self._fd, self.pieces).next


class Watched:
    """Lines of what the loop can watch. No more is read ahead than one line may have."""

    def __init__(self, fd: int, pieces: Pieces, loop: asyncio.AbstractEventLoop) -> None:
        self._fd = fd
        self._pieces = pieces
        self._loop = loop
        self._wanted: _Answer | None = None
        self._is_watching = True
        loop.add_reader(fd, self._read)

    def next(self) -> _Answer:
        answer: _Answer = self._loop.create_future()
        line = self._pieces.next()
        if line is not None or self._pieces.ended:
            answer.set_result(line)
            return answer
        self._wanted = answer
        if not self._is_watching:
            self._is_watching = True
            self._loop.add_reader(self._fd, self._read)
        return answer

    def _read(self) -> None:
        piece = _read_piece(self._fd)
        if piece is None:
            return
        self._pieces.take(piece)
        self._answer()
        if self._pieces.ended or len(self._pieces) > MAX_LINE_BYTES:
            self._is_watching = False
            self._loop.remove_reader(self._fd)

    def _answer(self) -> None:
        """Give who waits what there is."""
        if self._wanted is None:
            return
        line = self._pieces.next()
        if line is not None or self._pieces.ended:
            _settle(self._wanted, line)
            self._wanted = None


class Threaded:
    """Lines read in a thread of their own."""

    def __init__(self, fd: int, pieces: Pieces) -> None:
        self._fd = fd
        self._pieces = pieces
        self._wanted: SimpleQueue[_Answer] = SimpleQueue()
        self._reader = threading.Thread(target=self._work, name="argosy-stdin", daemon=True)

    def next(self) -> _Answer:
        answer: _Answer = asyncio.get_running_loop().create_future()
        self._wanted.put(answer)
        if self._reader.ident is None:
            self._reader.start()
        return answer

    # Below: the reader's thread

    def _work(self) -> None:
        line: str | None = ""
        while line is not None:
            answer = self._wanted.get()
            line = self.line()
            with suppress(RuntimeError):  # the loop has ended
                answer.get_loop().call_soon_threadsafe(_settle, answer, line)

    def line(self) -> str | None:
        """The next line, waited for; None after the last."""
        while (line := self._pieces.next()) is None and not self._pieces.ended:
            piece = _read_piece(self._fd)
            if piece is None:
                select.select([self._fd], [], [])
            else:
                self._pieces.take(piece)
        return line if line is not None else self._pieces.next()


def _read_piece(fd: int) -> bytes | None:
    """What is there, empty at the end; None when nothing is there yet."""
    try:
        return os.read(fd, _PIECE_BYTES)
    except BlockingIOError:  # a parent may share a descriptor that does not block
        return None
    except OSError:  # a terminal that was hung up
        return b""


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
