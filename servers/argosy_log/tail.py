"""Reading one day's file from its end, a piece at a time, keeping only the lines that are wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from anyio import to_thread

from argosy_core.storage.base import Documents
from argosy_log.events import LogEvent, read_line

FIRST_PIECE_BYTES = 64 * 1024
MAX_PIECE_BYTES = 1024 * 1024
NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines to keep: those that hold one of *needles* (any, when there are none) and pass *test*."""

    test: Callable[[LogEvent], bool]
    needles: tuple[bytes, ...] = ()

    def may_hold(self, data: bytes) -> bool:
        """Whether *data* is worth a closer look."""
        return not self.needles or any(needle in data for needle in self.needles)


@dataclass(frozen=True, slots=True)
class Line:
    """A wanted event and the bytes of the file that it stands in."""

    event: LogEvent
    start: int
    stop: int


@dataclass(slots=True)
class Tail:
    """The unread part of a day's file: everything before byte *end*. *damaged*: starts of lines that do not parse."""

    documents: Documents
    stream: str
    path: str
    end: int
    wanted: Wanted
    piece: int
    damaged: list[int] = field(default_factory=list[int])
    _ready: list[Line] = field(default_factory=list[Line])  # oldest first: the next one is the last
    _latest: datetime = NEVER

    @property
    def position(self) -> int:
        """Where reading goes on after what was taken; 0 when nothing is left."""
        return self._ready[-1].stop + 1 if self._ready else self.end

    async def fill(self) -> bool:
        """Read on until a wanted line is there. False when the file's beginning came first."""
        while not self._ready and self.end > 0:
            await self._read_piece()
        return bool(self._ready)

    def order(self) -> datetime:
        """When the next line happened, for putting streams beside each other. The file's own order always holds, so a
        clock that jumped, or a line without a time, counts as its neighbour."""
        at = self._ready[-1].event.at
        return self._latest if at is None else min(at, self._latest)

    def take(self) -> Line:
        """The next line; `fill` said that there is one."""
        self._latest = self.order()
        return self._ready.pop()

    async def _read_piece(self) -> None:
        start = max(0, self.end - self.piece)
        data = await self.documents.read_from(self.path, start, self.end - start)
        self.piece = min(self.piece * 4, MAX_PIECE_BYTES)
        if start > 0:
            whole = data.find(b"\n") + 1
            if whole in (0, len(data)) and data:  # one line is longer than the piece
                self.piece = (self.end - start) * 2
                return
            start, data = start + whole, data[whole:]
        if data:
            self._ready, damaged = await to_thread.run_sync(_select, self.stream, data, start, self.wanted)
            self.damaged += damaged
            self.end = start
        else:
            self.end = 0  # the file became shorter than it was


def _select(stream: str, data: bytes, start: int, wanted: Wanted) -> tuple[list[Line], list[int]]:
    found: list[Line] = []
    damaged: list[int] = []
    if not wanted.may_hold(data):
        return found, damaged
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        if line.strip() and wanted.may_hold(line):
            event = read_line(stream, line)
            if event is not None and wanted.test(event):
                found.append(Line(event, start, start + len(line)))
            elif event is None and number < len(lines):  # what follows the last newline is still being written
                damaged.append(start)
        start += len(line) + 1
    return found, damaged
