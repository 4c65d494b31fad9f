"""Blocking work off the event loop, for what is called so often that getting there is felt.

A hop to one of these threads and back takes half of what `anyio.to_thread.run_sync` takes, which also counts its
threads for each loop and ends them with it. Otherwise the two are alike: the caller's context variables are there, a
caller that is cancelled waits until the work is done, and at most `MOST_THREADS` pieces of work run at once.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

from anyio import CancelScope
from anyio.lowlevel import checkpoint_if_cancelled

T = TypeVar("T")
MOST_THREADS = 40  # as anyio
_on_loop: ContextVar[bool] = ContextVar("_on_loop", default=False)


@dataclass(slots=True, eq=False)
class _Work:
    """A piece of work and who waits for it."""

    function: Callable[[], Any]
    context: Context
    answer: asyncio.Future[Any]

    def run(self) -> Callable[[], None]:
        """Do it; gives what says so to the waiting loop."""
        try:
            result = self.context.run(self.function)
        except StopIteration as error:  # no future takes one
            return self._told(_fail, RuntimeError(f"blocking work raised {error!r}"))
        except BaseException as error:
            return self._told(_fail, error)
        return self._told(_finish, result)

    def _told(self, tell: Callable[[asyncio.Future[Any], Any], None], outcome: Any) -> Callable[[], None]:
        def told() -> None:
            with suppress(RuntimeError):  # the loop has ended
                self.answer.get_loop().call_soon_threadsafe(tell, self.answer, outcome)

        return told


class _Threads:
    """Idle threads, the one that rested last first, and the work for which there was none."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._idle: list[SimpleQueue[_Work]] = []
        self._waiting: deque[_Work] = deque()
        self._count = 0

    def give(self, work: _Work) -> None:
        with self._guard:
            if self._idle:
                self._idle.pop().put(work)
                return
            if self._count == MOST_THREADS:
                self._waiting.append(work)
                return
            self._count += 1
        inbox: SimpleQueue[_Work] = SimpleQueue()
        inbox.put(work)
        threading.Thread(target=self._run, args=(inbox,), name="argosy-work", daemon=True).start()

    def _run(self, inbox: SimpleQueue[_Work]) -> None:
        while True:
            tell = inbox.get().run()
            with self._guard:
                if self._waiting:
                    inbox.put(self._waiting.popleft())
                else:
                    self._idle.append(inbox)  # before anybody is told: the next piece then finds this thread
            tell()


_threads = _Threads()


class WouldBlock(BaseException):
    """What was begun on the event loop has come to something to wait for. No error: whoever began it goes elsewhere."""


def about_to_wait() -> None:
    """Called before anything that waits, by what may be begun on the event loop. Raises WouldBlock if it was."""
    if _on_loop.get():
        raise WouldBlock


async def here_or_off_loop(function: Callable[..., T], *arguments: Any) -> T:
    """What *function* returns or raises, called here and, if it comes to something to wait for, again off the loop.

    What it does before it calls `about_to_wait` may thus be done twice. To a thread and back takes as long as many
    small things that a thread would do.
    """
    token = _on_loop.set(True)
    try:
        return function(*arguments)
    except WouldBlock:
        pass
    finally:
        _on_loop.reset(token)
    return await off_loop(function, *arguments)


async def off_loop(function: Callable[..., T], *arguments: Any) -> T:
    """What *function* returns or raises, called in another thread."""
    await checkpoint_if_cancelled()
    return await off_loop_at_any_rate(function, *arguments)


async def off_loop_at_any_rate(function: Callable[..., T], *arguments: Any) -> T:
    """As `off_loop`, and a caller that is cancelled already begins it all the same."""
    answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    _threads.give(_Work(lambda: function(*arguments), copy_context(), answer))
    with CancelScope(shield=True):
        await answer
    return answer.result()


def _finish(answer: asyncio.Future[Any], result: Any) -> None:
    if not answer.done():
        answer.set_result(result)


def _fail(answer: asyncio.Future[Any], error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)


def _forget() -> None:
    global _threads  # a forked child has none of its parent's threads
    _threads = _Threads()


os.register_at_fork(after_in_child=_forget)
