"""The worker: takes items from a queue and runs what they ask for, as long as the fleet is up.

An item's lease is renewed while its run goes on; a worker that lost it stops, since somebody else may have it. A run
that an earlier worker was killed in is closed in the log as interrupted before its item is run again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio import CancelScope

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError, Conflict
from argosy_host.runs import RunResult

QUEUE = "runs"
LEASE_SECONDS = 60.0
IDLE_SECONDS = 1.0  # between two looks at an empty queue
STOP_SECONDS = 10.0  # how long a stopping worker waits for the run it is in

logger = logging.getLogger(__name__)
CallTool = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""(tool, arguments) → its structured result, as the host. Raises ArgosyError."""
RunItem = Callable[[Mapping[str, Any]], Awaitable[RunResult]]
"""The item as it was claimed → the finished run."""


@dataclass(slots=True)
class Work:
    """What a worker did since it started."""

    done: int = 0
    failed: int = 0
    current: str | None = None
    problems: list[str] = field(default_factory=list[str])


class Worker:
    """One worker of one queue."""

    def __init__(self, name: str, call: CallTool, run_item: RunItem, clock: Clock) -> None:
        self._name = name
        self._call = call
        self._run_item = run_item
        self._clock = clock
        self.work = Work()

    async def run(self, stop: anyio.Event) -> None:
        """Work until *stop*; the run in hand gets some seconds to end, then it is interrupted and given back."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._loop, stop, tasks.cancel_scope)
            await stop.wait()
            if self.work.current is not None:
                await self._clock.sleep(STOP_SECONDS)
            tasks.cancel_scope.cancel()

    async def _loop(self, stop: anyio.Event, scope: CancelScope) -> None:
        while not stop.is_set():
            try:
                if not await self.step():
                    await self._pause(stop)
            except ArgosyError as error:
                logger.warning("the worker could not go on: %s", error)
                await self._pause(stop)
        scope.cancel()

    async def _pause(self, stop: anyio.Event) -> None:
        with anyio.move_on_after(IDLE_SECONDS):
            await stop.wait()

    async def step(self) -> bool:
        """Take one item and finish it; False when there was none."""
        claimed = await self._call(
            "queue_claim", {"queue": QUEUE, "worker": self._name, "lease_s": LEASE_SECONDS, "count": 1}
        )
        if not claimed["items"]:
            return False
        item = claimed["items"][0]
        self.work.current = str(item["id"])
        try:
            await self._finish(item)
        finally:
            self.work.current = None
        return True

    async def _finish(self, item: Mapping[str, Any]) -> None:
        token = item["lease"]["token"]
        result: RunResult | None = None
        error: str | None = None
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._keep, item["id"], token, tasks.cancel_scope)
                try:
                    result = await self._run_item(item)
                except ArgosyError as failure:
                    error = f"{failure.code}: {failure}"
                tasks.cancel_scope.cancel()
        except BaseException:
            with CancelScope(shield=True), anyio.move_on_after(STOP_SECONDS):
                await self._settle("queue_release", {"item": item["id"], "token": token})
            raise
        if result is None and error is None:
            return  # the lease was lost: the item is somebody else's
        await self._report(item, token, result, error)

    async def _report(self, item: Mapping[str, Any], token: str, result: RunResult | None, error: str | None) -> None:
        if result is not None and result.status in ("ok", "deferred"):
            self.work.done += 1
            answer = {"run": result.run, "status": result.status, "text": result.text[:4000]}
            await self._settle("queue_complete", {"item": item["id"], "token": token, "result": answer})
            return
        self.work.failed += 1
        why = error or f"run {result.run if result else '?'} ended as {result.status if result else '?'}"
        await self._settle("queue_fail", {"item": item["id"], "token": token, "error": why})

    async def _keep(self, item: str, token: str, scope: CancelScope) -> None:
        """Renew the lease until cancelled; when it is lost, stop the run."""
        while True:
            await self._clock.sleep(LEASE_SECONDS / 3)
            try:
                await self._call("queue_renew", {"item": item, "token": token})
            except Conflict:
                self.work.problems.append(f"the lease of {item} was lost")
                scope.cancel()
                return
            except ArgosyError as error:
                logger.warning("the lease of %s could not be renewed: %s", item, error)

    async def _settle(self, tool: str, arguments: Mapping[str, Any]) -> None:
        try:
            await self._call(tool, arguments)
        except ArgosyError as error:
            # A lease that ended meanwhile: whoever has the item now settles it.
            self.work.problems.append(f"{tool}: {error}")
