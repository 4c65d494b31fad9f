"""A thread with an event loop of its own: what a store keeps open lives there, whatever loop or thread calls it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Generic, TypeVar

from anyio import CancelScope

from argosy_core.errors import DeadlineExceeded, Unavailable

T = TypeVar("T")
CANCEL_SECONDS = 10.0  # so long a cancelled caller waits for its work to be undone
CLOSE_SECONDS = 10.0
Work = Callable[[], Coroutine[Any, Any, T]]


class _Job(Generic[T]):
    """One piece of work on the loop, and what came of it."""

    def __init__(self, work: Work[T]) -> None:
        self.outcome: Future[T] = Future()
        self.outcome.set_running_or_notify_cancel()  # only `cancel` ends it
        self._work = work
        self._task: asyncio.Task[T] | None = None
        self._is_cancelled = False

    def start(self) -> None:
        if self._is_cancelled:
            self.outcome.set_exception(_given_up())
            return
        self._task = asyncio.get_running_loop().create_task(self._work())
        self._task.add_done_callback(self._finish)

    def cancel(self) -> None:
        self._is_cancelled = True
        if self._task is not None:
            self._task.cancel()

    def _finish(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self.outcome.set_exception(_given_up())
        elif (failure := task.exception()) is not None:
            self.outcome.set_exception(failure)
        else:
            self.outcome.set_result(task.result())


class Background:
    """Runs coroutines for callers of other loops and threads; every wait of a caller ends with its own."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._guard = threading.Lock()
        self._is_closed = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread.start()

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def call(self, work: Work[T]) -> T:
        """What *work* comes to, for a caller on another event loop.

        A cancelled caller cancels the work, and goes on once that has ended: nothing of it happens later.
        """
        job = self._submit(work)
        waiter = asyncio.wrap_future(job.outcome)
        try:
            return await asyncio.shield(waiter)
        except asyncio.CancelledError:
            self.post(job.cancel)
            with CancelScope(shield=True):
                await asyncio.wait([waiter], timeout=CANCEL_SECONDS)
            if waiter.done() and not waiter.cancelled():
                waiter.exception()
            raise

    def wait(self, work: Work[T], timeout_seconds: float) -> T:
        """What *work* comes to, for a caller in another thread. Raises DeadlineExceeded."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("a blocking call on the store's own loop")
        job = self._submit(work)
        try:
            return job.outcome.result(timeout_seconds)
        except TimeoutError as exc:
            if isinstance(exc, DeadlineExceeded):
                raise
            self.post(job.cancel)
            raise DeadlineExceeded("the store did not answer in time", hint="try again later") from exc
        except BaseException:
            self.post(job.cancel)
            raise

    def spawn(self, work: Work[None]) -> None:
        """Let *work* run by itself until it ends or the loop does."""
        self.post(self._spawn, work)

    def _spawn(self, work: Work[None]) -> None:
        task = self._loop.create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def post(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Call *callback* on the loop soon; nothing happens once it is closed. Never blocks."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *arguments)

    def close(self) -> None:
        """End what still runs, then the thread. Idempotent."""
        with self._guard:
            if self._is_closed:
                return
            self._is_closed = True
        with suppress(TimeoutError, Unavailable):
            self._submit(_end_all, is_last=True).outcome.result(CLOSE_SECONDS)
        self.post(self._loop.stop)
        self._thread.join(CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    def _submit(self, work: Work[T], *, is_last: bool = False) -> _Job[T]:
        if self._is_closed and not is_last:
            raise Unavailable("the store is closed", hint="open it again")
        job = _Job(work)
        self.post(job.start)
        return job


async def _end_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.wait([asyncio.gather(*tasks, return_exceptions=True)], timeout=CLOSE_SECONDS / 2)


def _given_up() -> Unavailable:
    return Unavailable("the call was given up", hint="try again")
