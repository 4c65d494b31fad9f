"""Runs that come from the queue: what an item asks for, and what is left of the run it was killed in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from argosy_core.clock import Clock
from argosy_core.errors import InvalidArgument
from argosy_core.ids import Ids
from argosy_core.policy.grants import ROOT, Grant
from argosy_core.types import Role
from argosy_core.views.grants import GrantReader
from argosy_host.direct import call_in
from argosy_host.narrative import narrate
from argosy_host.progress import Progress
from argosy_host.purse import Purse, breaker_of, inherited
from argosy_host.results import CallOutcome
from argosy_host.runs import KILLED, WRITER, Origin, RunResult, close_killed
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

    async def run(self, claimed: Mapping[str, Any]) -> RunResult:
        """Run what an item asks for, with no more than whoever put it there may do.

        Raises InvalidArgument when it is no task, PermissionDenied (what its grant was is over), BudgetExhausted (the
        agent rests), and what `run_task` raises.
        """
        payload, item = claimed["payload"], str(claimed["id"])
        agent, task = payload.get("agent"), payload.get("task") or payload.get("input")
        if not isinstance(agent, str) or not isinstance(task, str):
            raise InvalidArgument("a run needs an agent and a task", hint='{"agent": NAME, "task": TEXT}')
        grant = await to_thread.run_sync(self._grant, claimed)
        breaker = breaker_of(self._shared.store, self._clock)
        breaker.check(agent, grant.limits)
        creator = claimed.get("creator")
        chain = (str(creator),) if claimed.get("grant") else ()
        origin = Origin(str(payload.get("trigger") or "queue"), item, chain=chain)
        await self._close_earlier(agent, task, origin)
        options = RunOptions(
            vault=self._options.vault,
            agent=agent,
            task=task,
            model=self._options.model,
            store=self._options.store,
            origin=origin,
            purse=Purse(inherited(grant)),
            journal=True,
        )
        result = await run_task(options, Progress(), clock=self._clock, ids=self._ids, shared=self._shared)
        breaker.note(agent, result.status == "error")
        return result

    def _grant(self, claimed: Mapping[str, Any]) -> Grant:
        """What whoever made the item may do; a person's and a program's own is that of every run."""
        reference, creator = claimed.get("grant"), claimed.get("creator")
        if reference is None:
            return ROOT
        return GrantReader(self._shared.store.files, self._clock).of_run(str(reference), str(creator))

    async def _close_earlier(self, agent: str, task: str, origin: Origin) -> None:
        """A run of this item that has a start and no end was killed: say so in the log and the journal, once."""
        chain = self._shared.store.chain
        started = await chain.find(agent, WRITER, f"start:{origin.item}")
        attempt = 1
        while started is not None:
            run = str(started.event["run_id"])
            if await close_killed(chain, agent, run):
                await narrate(
                    partial(self._append, agent), Progress(), run=run, trigger=origin.trigger, task=task,
                    status="interrupted", said=KILLED,
                )  # fmt: skip
            attempt += 1
            started = await chain.find(agent, WRITER, f"start:{origin.item}:{attempt}")

    async def _append(self, agent: str, tool: str, arguments: Mapping[str, Any]) -> CallOutcome:
        return await call_in(self._shared.store, "journal", tool, arguments, agent=agent, role=Role.AGENT)
