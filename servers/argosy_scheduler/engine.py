"""The engine and the loop that keeps it going: it sleeps until something is due or somebody rings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

import anyio
from anyio import CancelScope

from argosy_scheduler.dispatch import Engine

__all__ = ["Engine", "run", "wait_seconds"]

# A machine that slept, or a clock that was set, is noticed after this long at the latest.
MAX_WAIT_S = 30.0
MIN_WAIT_S = 0.05

logger = logging.getLogger(__name__)


async def run(engine: Engine, stop: anyio.Event) -> None:
    """Tick until *stop* is set. What goes wrong is logged and tried again; only cancellation ends it otherwise."""
    store = engine.config.store
    alarm = _Alarm(engine)
    store.start()
    silence = store.bell.listen("", alarm.heard)
    try:
        while not stop.is_set():
            alarm.rearm()
            wait_s = await _tick(engine)
            await _wait(engine, wait_s, stop, alarm)
    finally:
        silence()
        with CancelScope(shield=True):
            await engine.save()
            await store.stop()


async def _tick(engine: Engine) -> float:
    try:
        next_due = await engine.tick()
    except Exception:  # a schedule that stops for good because of one bad moment is worse than one that is late
        logger.exception("the scheduler could not look at what is due")
        return MAX_WAIT_S
    return wait_seconds(engine, next_due)


def wait_seconds(engine: Engine, next_due: datetime | None) -> float:
    """How long to sleep at most."""
    bound = min(MAX_WAIT_S, engine.next_poll() or MAX_WAIT_S)
    if next_due is None:
        return bound
    return max(MIN_WAIT_S, min(bound, (next_due - engine.config.clock.now()).total_seconds()))


async def _wait(engine: Engine, seconds: float, stop: anyio.Event, alarm: _Alarm) -> None:
    async with anyio.create_task_group() as tasks:

        async def end_with(wait: Callable[[], Awaitable[None]]) -> None:
            await wait()
            tasks.cancel_scope.cancel()

        tasks.start_soon(end_with, stop.wait)
        tasks.start_soon(end_with, alarm.wait)
        await engine.config.clock.sleep(seconds)
        tasks.cancel_scope.cancel()


class _Alarm:
    """Wakes the loop when the bell rings for something that the engine waits for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._rung = anyio.Event()

    def heard(self, paths: frozenset[str]) -> None:
        """From any thread."""
        mine = frozenset(path for path in paths if self._engine.concerns(path))
        if not mine:
            return
        self._engine.heard(mine)
        try:
            self._loop.call_soon_threadsafe(self._ring)
        except RuntimeError:  # the loop closed while we listened
            return

    def rearm(self) -> None:
        """Forget what rang so far: the tick that follows looks at it."""
        self._rung = anyio.Event()

    async def wait(self) -> None:
        """Until somebody rings, and a moment longer: changes come in bursts."""
        await self._rung.wait()
        await self._engine.config.clock.sleep(MIN_WAIT_S)

    def _ring(self) -> None:
        self._rung.set()
