"""The event index: fed by reading on in the streams, before each question and, where there is much, beside them.

It is a projection in ``.argosy/log.sqlite`` that any number of processes feed and ask. Nobody waits for it longer than
a bound: what is not in it yet is put in by a task of its own, and answers say so.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import anyio
from anyio import to_thread

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError, NotFound, Unavailable
from argosy_core.index.database import Database
from argosy_core.storage.base import Store
from argosy_log.event_feed import position_of, take
from argosy_log.event_sql import EVENTS, statement

logger = logging.getLogger(__name__)
T = TypeVar("T")
FILE = "log.sqlite"
WAIT_SECONDS = 0.3  # that a question waits for lines that are not in the index yet
PIECE_BYTES = 1024 * 1024
_ATTEMPTS = 8


class EventIndex:
    """The index of one store's log. Raises Unavailable when its file cannot be had at all."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._chain = store.chain
        self._clock = clock
        self.is_used = False  # whether anybody has asked yet: before that nothing is opened for it
        # Where each stream was read to its end, in the file that *generation* names.
        self._positions: dict[str, str] = {}
        self._generation = ""
        self._behind: set[str] = set()
        self._opened: Database | None = None
        self._is_closed = False
        self._guard = threading.Lock()
        self._task: asyncio.Task[None] | None = None

    # Feeding

    async def freshen(self, streams: Sequence[str]) -> bool:
        """Put in what *streams* have gained; False when there is more of it than could be waited for.

        What is left is put in by a task that goes on after the call.
        """
        self.is_used = True
        deadline = self._clock.monotonic() + WAIT_SECONDS
        left: list[str] = []
        for stream in streams:
            if (left and self._clock.monotonic() >= deadline) or not await self._feed(stream, deadline):
                left.append(stream)
        self._behind |= set(left)
        if left and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._feed_behind())
        return not left

    async def caught_up(self) -> None:
        """Wait for the task that puts the rest in, when there is one."""
        task = self._task
        if task is not None:
            await asyncio.wait([task])

    async def _feed_behind(self) -> None:
        try:
            while self._behind:
                stream = min(self._behind)
                if await self._feed(stream, None):
                    self._behind.discard(stream)
        except ArgosyError as error:  # the next question tries again, and tells
            logger.warning("the index of the log could not be fed: %s", error)
            self._behind.clear()

    async def _feed(self, stream: str, deadline: float | None) -> bool:
        """Put in what is new in *stream*, until nothing is or the time is over; whether nothing is left."""
        known = self._positions.get(stream)
        position, rereads = (known, False) if known is not None else await self._read_position(stream)
        while True:
            try:
                piece = await self._chain.read_on(stream, position, PIECE_BYTES)
            except NotFound:  # the agent is gone, or not there yet
                return True
            if not piece.lines and not piece.is_anew and not rereads:
                self._positions[stream] = position
                return True
            self._positions.pop(stream, None)
            await self.tell(partial(take, stream=stream, position=position, piece=piece))
            if deadline is not None and self._clock.monotonic() >= deadline:
                return False
            position, rereads = await self._read_position(stream)

    async def _read_position(self, stream: str) -> tuple[str, bool]:
        generation, position, rereads = await self.ask(partial(_place_of, stream=stream))
        if generation != self._generation:  # another file, which began empty
            self._positions.clear()
            self._generation = generation
        return position, rereads

    # Asking

    async def ask(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What *work* finds in one reading transaction."""
        return await to_thread.run_sync(lambda: self._database().read(work))

    async def ask_fresh(self, streams: Sequence[str], work: Callable[[sqlite3.Connection], T]) -> tuple[T, bool]:
        """As `ask`, after `freshen`; with whether all of *streams* was in the index."""
        for _ in range(_ATTEMPTS):
            is_complete = await self.freshen(streams)
            answer = await self.ask(partial(_of_generation, generation=self._generation, work=work))
            if answer is not None:
                return answer[0], is_complete
            self._positions.clear()  # the file was deleted, or found damaged, and began anew
        return await self.ask(work), False

    async def tell(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What *work* does in one writing transaction."""
        return await to_thread.run_sync(lambda: self._database().write(work))

    async def forget_removed(self) -> None:
        """Leave nothing on disk of what was taken out of the index."""
        await to_thread.run_sync(lambda: self._database().forget_removed())

    def close_file(self) -> None:
        """Let go of the file, for good."""
        self._is_closed = True
        if self._opened is not None:
            self._opened.close()

    def _database(self) -> Database:
        with self._guard:
            if self._is_closed:
                raise Unavailable("the index of the log is closed")
            if self._opened is None:
                try:
                    path = self._store.state_path(FILE)
                except OSError as failure:
                    raise Unavailable(f"the index of the log cannot be kept: {failure.strerror}") from failure
                self._opened = Database(path, self._clock, EVENTS)
            return self._opened

    async def close(self) -> None:
        """End feeding; a later question begins it again."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([task])


def _place_of(db: sqlite3.Connection, *, stream: str) -> tuple[str, str, bool]:
    return (_generation(db), *position_of(db, stream))


def _generation(db: sqlite3.Connection) -> str:
    return str(db.execute(statement("generation")).fetchone()[0])


def _of_generation(
    db: sqlite3.Connection, *, generation: str, work: Callable[[sqlite3.Connection], T]
) -> tuple[T] | None:
    """What *work* finds; None when the index is another than the one that was fed."""
    return (work(db),) if not generation or _generation(db) == generation else None
