"""Work that arrives while earlier work is being made durable is done together by the next: one thread, one sync."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import anyio
from anyio.lowlevel import current_token

from argosy_core.errors import ArgosyError, Unavailable
from argosy_core.off_loop import off_loop_at_any_rate

R = TypeVar("R")


class Pending(Generic[R]):
    """A piece of work and, once it was tried, what came of it."""

    def __init__(self) -> None:
        self.is_done = False
        self._result: R | None = None
        self._error: Exception | None = None

    def finish(self, result: R) -> None:
        self.is_done, self._result, self._error = True, result, None

    def fail(self, error: Exception) -> None:
        self.is_done, self._error = True, error

    def result(self) -> R:
        """What came of it; raises what it failed with."""
        if self._error is not None:
            raise self._error
        return cast("R", self._result)


P = TypeVar("P", bound=Pending[Any])


@dataclass(slots=True, eq=False)
class _Ticket(Generic[P]):
    """A piece waiting for its batch; *turn* is there while somebody waits."""

    piece: P
    turn: anyio.Event | None = None

    async def wait(self) -> None:
        self.turn = anyio.Event()
        try:
            await self.turn.wait()
        finally:
            self.turn = None

    def call(self) -> None:
        if self.turn is not None:
            self.turn.set()


@dataclass(slots=True)
class _Batch(Generic[P]):
    """Tickets being worked on. Its leader's task may be gone before the thread is done."""

    tickets: Sequence[_Ticket[P]]
    is_done: bool = False
    is_left: bool = False
    is_finished: bool = False


class _Lane(Generic[P]):
    """The tickets of one lane that wait, and whether a batch is being worked on."""

    def __init__(self) -> None:
        self.waiting: list[_Ticket[P]] = []
        self.is_busy = False


class Gathering(Generic[P]):
    """Hands what waits in a lane to *perform*, in a worker thread, a batch at a time; lanes do not wait for each other.
    Each event loop has lanes of its own.

    *perform* finishes or fails every piece; what it raises, if that is of the error tree, fails those that are left.
    """

    def __init__(self, perform: Callable[[str, Sequence[P]], None]) -> None:
        self._perform = perform
        self._lanes: dict[tuple[object, str], _Lane[P]] = {}

    async def submit(self, name: str, piece: P) -> None:
        """Wait until *piece* is done. A caller that is cancelled takes its piece back unless it is being worked on."""
        ticket = _Ticket(piece)
        place = (current_token(), name)
        lane = self._lanes.setdefault(place, _Lane())
        lane.waiting.append(ticket)
        try:
            while not piece.is_done:
                if lane.is_busy:
                    await ticket.wait()
                else:
                    await self._work(place, lane)
        finally:
            if ticket in lane.waiting:
                lane.waiting.remove(ticket)
            self._pass_turn(place, lane)

    async def _work(self, place: tuple[object, str], lane: _Lane[P]) -> None:
        batch, lane.waiting = _Batch(lane.waiting), []
        lane.is_busy = True
        loop = asyncio.get_running_loop()

        def finish() -> None:
            if not batch.is_finished:
                batch.is_finished = True
                self._finish(place, lane, batch)

        def work() -> None:  # in a worker thread
            self._perform_all(place[1], [ticket.piece for ticket in batch.tickets])
            batch.is_done = True
            if batch.is_left:
                with suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(finish)

        try:
            await off_loop_at_any_rate(work)
        finally:
            # A task cancelled past the shield leaves while the thread still works: then the thread finishes.
            batch.is_left = True
            if batch.is_done:
                finish()

    def _perform_all(self, name: str, pieces: Sequence[P]) -> None:
        try:
            self._perform(name, pieces)
        except ArgosyError as error:
            for piece in pieces:
                if not piece.is_done:
                    piece.fail(error)

    def _finish(self, place: tuple[object, str], lane: _Lane[P], batch: _Batch[P]) -> None:
        lane.is_busy = False
        for ticket in batch.tickets:
            if not ticket.piece.is_done:
                ticket.piece.fail(Unavailable("it could not be written", hint="try again"))
            ticket.call()
        self._pass_turn(place, lane)

    def _pass_turn(self, place: tuple[object, str], lane: _Lane[P]) -> None:
        if lane.is_busy:
            return
        if lane.waiting:
            lane.waiting[0].call()
        elif self._lanes.get(place) is lane:
            del self._lanes[place]
