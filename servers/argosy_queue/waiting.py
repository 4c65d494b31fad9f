"""Waiting for an item to end: woken by the bell, and by the clock where the bell is not heard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import anyio

from argosy_core.clock import Clock
from argosy_core.storage.base import ENDED_STATES, Bell, Item

MAX_WAIT_SECONDS = 60.0
LOOK_SECONDS = 1.0  # a change by another process is seen after so long at the latest
Tell = Callable[[float, float, Item], Awaitable[None]]


async def wait_for_end(
    bell: Bell, clock: Clock, look: Callable[[], Awaitable[Item]], timeout_seconds: float, tell: Tell
) -> Item:
    """The item that *look* gives, once it has ended or after *timeout_seconds*; *tell* hears how long it has been."""
    timeout_seconds = max(0.0, min(timeout_seconds, MAX_WAIT_SECONDS))
    start = clock.monotonic()
    rung = anyio.Event()
    loop = asyncio.get_running_loop()

    def heard(_: frozenset[str]) -> None:
        loop.call_soon_threadsafe(lambda: rung.set())

    stop = bell.listen("_fleet/queue/", heard)
    try:
        while True:
            rung = anyio.Event()  # before looking: what changes while we look rings it
            item = await look()
            passed = clock.monotonic() - start
            if item.state in ENDED_STATES or passed >= timeout_seconds:
                return item
            await tell(passed, timeout_seconds, item)
            await _rung_or_after(clock, rung, min(LOOK_SECONDS, timeout_seconds - passed))
    finally:
        stop()


async def _rung_or_after(clock: Clock, event: anyio.Event, seconds: float) -> None:
    async def sleep() -> None:
        await clock.sleep(seconds)
        event.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sleep)
        await event.wait()
        tasks.cancel_scope.cancel()
