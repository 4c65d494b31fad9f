"""What arrives while earlier work is on its way is done together by the next statement. All of it is on one loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from argosy_core.errors import ArgosyError, Unavailable
from argosy_core.storage.gathering import Pending

P = TypeVar("P", bound=Pending[Any])


@dataclass(slots=True, eq=False)
class _Ticket(Generic[P]):
    piece: P
    done: asyncio.Future[None]


class Batches(Generic[P]):
    """Hands pieces that wait to *perform*, *most* at a time, one batch after the other.

    *perform* finishes or fails every piece; what it raises fails those that are left.
    """

    def __init__(self, perform: Callable[[Sequence[P]], Awaitable[None]], most: int) -> None:
        self._perform = perform
        self._most = most
        self._waiting: list[_Ticket[P]] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is on its way."""
        return self._task is None and not self._waiting

    async def submit(self, piece: P) -> None:
        """Wait until *piece* is done. A caller that is cancelled takes it back; what is on its way is waited for."""
        ticket = _Ticket(piece, asyncio.get_running_loop().create_future())
        self._waiting.append(ticket)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())
        try:
            await asyncio.shield(ticket.done)
        except asyncio.CancelledError:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            else:
                await asyncio.wait([ticket.done])
            raise

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                try:
                    await self._perform_all([ticket.piece for ticket in batch])
                finally:
                    for ticket in batch:
                        if not ticket.done.done():
                            ticket.done.set_result(None)
        finally:
            self._task = None
            for ticket in self._waiting:  # the loop ends
                ticket.piece.fail(_unwritten())
                ticket.done.set_result(None)

    async def _perform_all(self, pieces: Sequence[P]) -> None:
        failure: Exception = _unwritten()
        try:
            await self._perform(pieces)
        except ArgosyError as error:
            failure = error
        finally:
            for piece in pieces:
                if not piece.is_done:
                    piece.fail(failure)


def _unwritten() -> Unavailable:
    return Unavailable("it could not be written", hint="try again")
