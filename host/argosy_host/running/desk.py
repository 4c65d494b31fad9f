"""What clients may ask of runs: start, watch, end, list."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

import anyio
from anyio import to_thread

from argosy_core.errors import NotFound, PermissionDenied
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import DoctorFinding, clamp_limit
from argosy_core.types import Caller, Role
from argosy_core.views.agents import list_agents, load_agent
from argosy_core.views.vault_reader import VaultReader
from argosy_host.interventions import Action, intervene
from argosy_host.running.book import RUN_PATHS, RunBook
from argosy_host.running.contracts import Contract, may_start, read_contracts
from argosy_host.running.history import RunHistory, RunRow
from argosy_host.running.live import Live, Starter
from argosy_host.running.models import RunItem, RunPage, RunState

MAX_WAIT_SECONDS = 50.0  # below the bound that hosts put on a call
WATCHED_KEPT = 100
MAX_LOOKED_THROUGH = 2_000  # runs of a list that are not the caller's

Report = Callable[[int, str], Awaitable[None]]
"""(steps so far, the last one) → told to the client."""


class RunDesk:
    """Answers for the runs of one vault."""

    def __init__(self, config: ServerConfig, book: RunBook) -> None:
        self._config = config
        self._store = config.store
        self._reader = VaultReader(config.store.files)
        self.book = book
        self._history = RunHistory(config.store, config.clock, config.ids)
        # Runs of other processes that somebody asked about here: their agent's log says when they change.
        self._watched: OrderedDict[str, str] = OrderedDict()

    # Starting

    async def start(
        self, caller: Caller, agent: str, task: str, key: str | None, wait_seconds: float, report: Report
    ) -> RunState:
        """Start *agent* on *task* and wait up to *wait_seconds* for its end.

        Raises PermissionDenied (this run may not start that agent), NotFound, and what `RunBook.start` raises.
        """
        await to_thread.run_sync(self._check_target, caller, agent)
        starter = Starter(caller.agent, _run_of(caller), caller.principal, caller.grant)
        run = await self.book.start(agent, task, starter, key, "agent" if _run_of(caller) else "client")
        live = self.book.live(run)
        if live is not None and wait_seconds > 0:
            await _wait(live, min(wait_seconds, MAX_WAIT_SECONDS), report)
        return await self._state(run)

    def _check_target(self, caller: Caller, agent: str) -> None:
        names = list_agents(self._reader)
        if agent not in names:
            raise NotFound(f"there is no agent {agent[:80]!r}", hint=f"agents: {', '.join(names)}")
        if _run_of(caller) is None:
            return  # a person's client: what the agent then does is judged all the same
        if caller.agent is None or not may_start(load_agent(self._reader, caller.agent), agent):
            hint = "its roster.md names whom it delegates to"
            raise PermissionDenied(f"{caller.agent} may not start {agent}", hint=hint)

    # Watching

    async def status(self, caller: Caller, run: str, wait_seconds: float, report: Report) -> RunState:
        """How *run* is; waits up to *wait_seconds* for its end. Raises NotFound when the caller may not see it."""
        await self._visible(caller, run)
        live = self.book.live(run)
        if live is not None and wait_seconds > 0:
            await _wait(live, min(wait_seconds, MAX_WAIT_SECONDS), report)
        return await self._state(run)

    async def listing(self, caller: Caller, state: str | None, limit: int, cursor: str | None) -> RunPage:
        """Runs that the caller may see, newest first."""
        wanted, found, looked = clamp_limit(limit), list[RunRow](), 0
        while True:
            rows, cursor = await self._history.page(wanted - len(found), cursor)
            looked += len(rows)
            found += [row for row in rows if self._may_see(caller, row) and state in (None, row.status)]
            if cursor is None or len(found) >= wanted or looked >= MAX_LOOKED_THROUGH:
                return RunPage(items=list(map(_item, found)), next_cursor=cursor)

    # Ending and steering

    async def intervene(self, caller: Caller, run: str, action: Action, guidance: str | None) -> RunState:
        """Steer a run. Raises NotFound, PermissionDenied (somebody else's), InvalidArgument."""
        row = await self._visible(caller, run)
        own = row.started_by == (caller.agent or "operator") and row.parent == _run_of(caller)
        if caller.role is not Role.OPERATOR and not own:
            raise PermissionDenied(f"{run} was not started by you", hint="an operator may: --role operator")
        if row.status == "in_flight":
            by = "the operator" if caller.role is Role.OPERATOR else caller.agent or "a client"
            await intervene(self._store.chain, row.agent, run, action, guidance, by)
            if action == "terminate":
                self.book.cancel(run)
                await self._until_ended(run)
        return await self._state(run)

    async def _until_ended(self, run: str) -> None:
        live = self.book.live(run)
        with anyio.move_on_after(MAX_WAIT_SECONDS):
            if live is not None:
                await live.ended.wait()

    # What both need

    async def contracts(self, caller: Caller) -> list[Contract]:
        """The agents that the caller may start, as tools."""

        def read() -> list[Contract]:
            found = read_contracts(self._reader)
            if _run_of(caller) is None:
                return found
            if caller.agent not in {contract.agent for contract in found}:
                return []  # the fleet itself
            view = load_agent(self._reader, caller.agent)
            return [contract for contract in found if may_start(view, contract.agent)]

        return await to_thread.run_sync(read)

    async def _visible(self, caller: Caller, run: str) -> RunRow:
        row = await self._history.find(run)
        if not self._may_see(caller, row):
            raise NotFound(f"there is no run {run[:80]!r} in sight", hint="run_list shows the runs")
        return row

    def _may_see(self, caller: Caller, row: RunRow) -> bool:
        return caller.role is Role.OPERATOR or row.is_of(caller.agent)

    async def _state(self, run: str) -> RunState:
        row = await self._history.find(run)
        live = self.book.live(run)
        self._watch(run, row.agent)
        if row.status == "in_flight" and live is not None and not live.ended.is_set():
            return _state(row, live.text, live)
        text = live.result.text if live is not None and live.result is not None else await self._history.text(row)
        return _state(row, text, None)

    def _watch(self, run: str, agent: str) -> None:
        self._watched[run] = agent
        while len(self._watched) > WATCHED_KEPT:
            self._watched.popitem(last=False)

    # What the server base asks

    async def counts(self, agent: str | None) -> dict[str, int]:
        return {"running": self.book.running, "agents": len(await to_thread.run_sync(list_agents, self._reader))}

    async def doctor(self, agent: str | None) -> Sequence[DoctorFinding]:
        rows, _ = await self._history.page(100)
        killed = [row for row in rows if row.status == "interrupted" and row.ended_at is None]
        findings = [
            DoctorFinding(
                status="warn",
                check="run_end",
                message=f"{row.run} of {row.agent} has no end: its process was killed",
                fix="mcp-host up closes it; start the run again if it is still wanted",
            )
            for row in killed
        ]
        return findings or [DoctorFinding(status="pass", check="run_end", message=f"{len(rows)} runs have their end")]

    def uris_of(self, path: str) -> Sequence[str]:
        if path.startswith(RUN_PATHS):
            return [f"run://{path.removeprefix(RUN_PATHS)}", "host://health", "host://metrics"]
        parts = path.split("/")
        if len(parts) == 4 and parts[1] == "log":
            return [f"run://{run}" for run, agent in list(self._watched.items()) if agent == parts[0]]
        return []

    async def document(self, caller: Caller, run: str) -> str:
        """A run as JSON, for a resource. Raises NotFound."""
        await self._visible(caller, run)
        return (await self._state(run)).model_dump_json()

    def health(self) -> dict[str, object]:
        """How this process is."""
        return {"running": self.book.running, "process": self.book.mark}


def _run_of(caller: Caller) -> str | None:
    """The run that calls; None for a person's client, whatever the gateway logs its calls under."""
    return caller.run if caller.role is Role.HOST else None


async def _wait(live: Live, seconds: float, report: Report) -> None:
    with anyio.move_on_after(seconds):
        told = -1
        while not live.ended.is_set():
            changed = live.changed
            if live.done != told:
                told = live.done
                await report(live.done, live.steps[-1] if live.steps else "starting")
            if not live.ended.is_set():
                await changed.wait()


def _state(row: RunRow, text: str, live: Live | None) -> RunState:
    return RunState(
        run=row.run,
        agent=row.agent,
        status=row.status,
        task=row.task,
        text=text,
        steps=list(live.steps) if live else [],
        questions=list(row.questions),
        error=row.error,
        parent=row.parent,
        started_by=row.started_by,
        started_at=row.started_at,
        ended_at=row.ended_at,
        model=row.model,
        cost_usd=live.cost_usd if live else row.cost_usd,
        input_tokens=live.input_tokens if live else row.input_tokens,
        output_tokens=live.output_tokens if live else row.output_tokens,
        uri=f"run://{row.run}",
    )


def _item(row: RunRow) -> RunItem:
    return RunItem(
        run=row.run,
        agent=row.agent,
        status=row.status,
        task=row.task,
        trigger=row.trigger,
        started_by=row.started_by,
        started_at=row.started_at,
        ended_at=row.ended_at,
        cost_usd=row.cost_usd,
        uri=f"run://{row.run}",
    )
