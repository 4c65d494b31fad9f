"""Documents that only grow, whatever the substrate: many writers add to one, and each addition is there once.

Additions that arrive while one is being written are written together by the next: one replace, one sync. Against other
processes it is compare-and-swap: who loses a round reads again and adds behind the winner.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio
from anyio import CancelScope, to_thread

from argosy_core.clock import Clock
from argosy_core.errors import AlreadyExists, ArgosyError, Conflict, NotFound, Unavailable
from argosy_core.ids import Ids
from argosy_core.storage.base import ABSENT, Content, Documents

WAIT_SECONDS = 10.0  # how long a writer tries against others before it gives up
SMALLEST_PAUSE_SECONDS = 0.001
LARGEST_PAUSE_SECONDS = 0.05
MOST_KEPT_BYTES = 4 * 1024 * 1024
MOST_KEPT = 8

Make = Callable[[bytes], bytes]
"""What to add behind the document as it stands (b"" where there is none); b"" adds nothing. Raises ArgosyError."""


@dataclass(eq=False, slots=True)
class _Ticket:
    """One addition, and once it was tried its outcome: the document's version, or why it was refused."""

    make: Make
    outcome: str | ArgosyError | None = None


@dataclass(slots=True)
class _Line:
    """The additions to one document that wait."""

    turn: anyio.Lock = field(default_factory=anyio.Lock)
    waiting: list[_Ticket] = field(default_factory=list[_Ticket])
    users: int = 0


class GrowingDocuments:
    """Adds to documents. What stands in them already is never changed, whoever wrote it."""

    def __init__(self, documents: Documents, clock: Clock, ids: Ids) -> None:
        self._documents = documents
        self._clock = clock
        self._ids = ids
        self._lines: dict[str, _Line] = {}
        # What was last written here: the next addition need not read it again. A wrong guess loses one round.
        self._kept: OrderedDict[str, tuple[bytes, str]] = OrderedDict()

    async def add(self, path: str, make: Make) -> str:
        """Put what *make* gives behind the document at *path*; returns its version, durable.

        *make* runs in a worker thread, again in every round that another process won. Raises what *make* raises,
        Conflict when others were faster for ten seconds, TooLarge.
        """
        ticket = _Ticket(make)
        line = self._lines.setdefault(path, _Line())
        line.waiting.append(ticket)
        line.users += 1
        try:
            async with line.turn:
                if ticket.outcome is None and ticket in line.waiting:
                    await self._write(path, line)
        finally:
            if ticket in line.waiting:
                line.waiting.remove(ticket)
            line.users -= 1
            if not line.users:
                self._lines.pop(path, None)
        if ticket.outcome is None:
            raise Unavailable("whether this was written is not known", hint="look before you repeat it")
        if isinstance(ticket.outcome, ArgosyError):
            raise ticket.outcome
        return ticket.outcome

    async def _write(self, path: str, line: _Line) -> None:
        batch, line.waiting = line.waiting, []
        # The others of the batch wait for this task: cancelling it must not leave them without an answer.
        with CancelScope(shield=True):
            outcome: str | ArgosyError
            try:
                outcome = await self._settle(path, batch)
            except ArgosyError as error:
                outcome = error
            for ticket in batch:
                ticket.outcome = ticket.outcome or outcome

    async def _settle(self, path: str, batch: Sequence[_Ticket]) -> str:
        deadline = self._clock.monotonic() + WAIT_SECONDS
        pause = SMALLEST_PAUSE_SECONDS
        while True:
            data, version = await self._current(path)
            grown = await to_thread.run_sync(_grow, data, batch)
            if len(grown) == len(data):
                self._keep(path, data, version)
                return version
            try:
                written = await self._documents.write(path, grown, expect=version)
            except (Conflict, AlreadyExists):
                if self._clock.monotonic() >= deadline:
                    raise Conflict(f"many writers are at {path}", hint="try again in a moment") from None
                # Unequal pauses, or two processes meet again and again.
                await self._clock.sleep(pause * (0.5 + self._ids.random(1)[0] / 255))
                pause = min(pause * 2, LARGEST_PAUSE_SECONDS)
            else:
                self._keep(path, grown, written.version)
                return written.version

    async def _current(self, path: str) -> tuple[bytes, str]:
        if path in self._kept:
            return self._kept.pop(path)
        try:
            content: Content = await self._documents.read(path)
        except NotFound:
            return b"", ABSENT
        return content.data, content.version

    def _keep(self, path: str, data: bytes, version: str) -> None:
        if len(data) <= MOST_KEPT_BYTES:
            self._kept[path] = (data, version)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)


def _grow(data: bytes, batch: Sequence[_Ticket]) -> bytes:
    """*data* with every addition behind it; a ticket whose addition was refused has its outcome set."""
    grown = bytearray(data)
    for ticket in batch:
        ticket.outcome = None
        try:
            grown += ticket.make(bytes(grown))
        except ArgosyError as error:
            ticket.outcome = error
    return bytes(grown)
