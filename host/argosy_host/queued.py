"""Runs that come from the queue: what an item asks for, and what is left of the run it was killed in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from argosy_core.clock import Clock
from argosy_core.errors import InvalidArgument
from argosy_core.ids import Ids
from argosy_host.progress import Progress
from argosy_host.runs import WRITER, Origin, RunResult, close_killed
from argosy_host.session import RunOptions, Shared, run_task

if TYPE_CHECKING:
    from argosy_host.up import UpOptions


class QueuedRuns:
    """Runs items of the queue ``runs``: ``{agent, task, trigger?}``."""

    def __init__(self, options: UpOptions, shared: Shared, clock: Clock, ids: Ids) -> None:
        self._options = options
        self._shared = shared
        self._clock = clock
        self._ids = ids

    async def run(self, payload: Mapping[str, Any], item: str) -> RunResult:
        """Run what *payload* asks for. Raises InvalidArgument when it is no task, and what `run_task` raises."""
        agent, task = payload.get("agent"), payload.get("task") or payload.get("input")
        if not isinstance(agent, str) or not isinstance(task, str):
            raise InvalidArgument("a run needs an agent and a task", hint='{"agent": NAME, "task": TEXT}')
        await self._close_earlier(agent, item)
        options = RunOptions(
            vault=self._options.vault,
            agent=agent,
            task=task,
            model=self._options.model,
            store=self._options.store,
            origin=Origin(str(payload.get("trigger") or "queue"), item),
            journal=True,
        )
        return await run_task(options, Progress(), clock=self._clock, ids=self._ids, shared=self._shared)

    async def _close_earlier(self, agent: str, item: str) -> None:
        """A run of this item that has a start and no end was killed: say so in the log, once."""
        chain = self._shared.store.chain
        started = await chain.find(agent, WRITER, f"start:{item}")
        attempt = 1
        while started is not None:
            await close_killed(chain, agent, str(started.event["run_id"]))
            attempt += 1
            started = await chain.find(agent, WRITER, f"start:{item}:{attempt}")
