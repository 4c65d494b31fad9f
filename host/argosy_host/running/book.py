"""The runs that this process goes on with for its clients: started here, watched from anywhere.

One book for each store, so that all clients of a process share it. A run is no client's: it goes on when the one that
started it leaves, and ends with the process.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import anyio
from anyio import CancelScope, to_thread

from argosy_core.clock import Clock, rfc3339
from argosy_core.errors import ArgosyError, BudgetExhausted, Conflict, Unavailable
from argosy_core.ids import Ids, new_run_id
from argosy_core.policy.grants import ROOT
from argosy_core.serving.identity import RunTokens
from argosy_core.storage.base import Entry, Store
from argosy_core.views.grants import GrantReader
from argosy_host.presence import Presence
from argosy_host.providers.base import Model
from argosy_host.purse import Purse, breaker_of, purses_of
from argosy_host.running.history import result_path
from argosy_host.running.live import Live, Starter, Watcher
from argosy_host.runs import WRITER, Origin, start_key, task_hash
from argosy_host.session import RunOptions, Shared, run_task

MAX_RUNNING = 20
MAX_DEPTH = 5  # of runs below runs
ENDED_KEPT = 200
STOP_SECONDS = 10.0
START_SECONDS = 60.0
SHARED_NAME = "host.runs"

logger = logging.getLogger(__name__)
# Set in every run of a book: the servers composed for it are no client's, and do not keep the book open.
inside_run: ContextVar[bool] = ContextVar("argosy_inside_run", default=False)


@dataclass(frozen=True, slots=True)
class BookSettings:
    """What runs of a book have in common; *open_model* is for another model than the providers'."""

    model: str | None = None
    shared: Shared | None = None
    open_model: Callable[[], Model] | None = None


class RunBook:
    """Starts runs and knows those that go on."""

    def __init__(self, store: Store, clock: Clock, ids: Ids, settings: BookSettings | None = None) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._settings = settings or BookSettings()
        self._presence = Presence(store.leases, clock, f"process {os.getpid()}")
        self._shared = self._settings.shared or Shared(store, RunTokens(clock), {}, lambda: self._presence.mark)
        self._live: dict[str, Live] = {}
        self._ended: OrderedDict[str, Live] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._elsewhere: OrderedDict[str, Purse] = OrderedDict()
        self._users = 0

    # Life

    def enter(self) -> None:
        """One more client, or the background process itself, needs the book."""
        self._users += 1

    async def leave(self) -> None:
        """One less; with the last, runs that go on are interrupted, which they say in the log."""
        self._users -= 1
        if self._users > 0:
            return
        with CancelScope(shield=True), anyio.move_on_after(STOP_SECONDS):
            for live in self._live.values():
                live.scope.cancel()
            for live in list(self._live.values()):
                await live.ended.wait()
            for task in list(self._tasks):
                task.cancel()
            await self._presence.leave()

    async def arrive(self) -> str | None:
        """The mark of this process, kept from now on."""
        if self._presence.mark is None:
            await self._presence.enter()
            self._keep(self._presence.keep())
        return self._presence.mark

    # Runs

    @property
    def running(self) -> int:
        """How many go on."""
        return len(self._live)

    @property
    def mark(self) -> str | None:
        """What runs say of this process; None before the first."""
        return self._presence.mark

    def live(self, run: str) -> Live | None:
        """The run while it goes on, and for a while after."""
        return self._live.get(run) or self._ended.get(run)

    async def start(self, agent: str, task: str, starter: Starter, key: str | None, trigger: str) -> str:
        """Start *agent* on *task*; returns the run's id once its start is in the log.

        With *key*, the run that was started with it before, if the task is the same. Raises Conflict (another task
        under the key), BudgetExhausted (too many runs, or too deep), and what `run_task` raises.
        """
        if key is not None and (known := await self._started_as(agent, task, key)) is not None:
            return known
        live = self._make(agent, task, starter)
        purse = await to_thread.run_sync(self._purse_above, starter)
        breaker_of(self._store, self._clock).check(agent, (purse.grant if purse else ROOT).limits)
        own = purse.below(live.run) if purse is not None else None
        await self.arrive()
        self._live[live.run] = live
        origin = Origin(
            trigger=trigger, key=key, parent=starter.run, started_by=starter.name, depth=live.depth,
            principal=starter.principal, chain=live.chain,
        )  # fmt: skip
        options = RunOptions(
            self._store.root, agent, task, self._settings.model, origin=origin, purse=own, run=live.run, journal=True
        )
        self._keep(self._go(live, options, purse))
        try:
            return await self._recorded(live)
        except Conflict:
            # Somebody else used the key in the same moment: theirs is the run.
            known = await self._started_as(agent, task, key) if key is not None else None
            if known is None:
                raise
            return known

    def _make(self, agent: str, task: str, starter: Starter) -> Live:
        if len(self._live) >= MAX_RUNNING:
            raise BudgetExhausted(f"{MAX_RUNNING} runs are going on", hint="wait for one to end: run_list")
        above = self._live.get(starter.run) if starter.run else None
        depth = (above.depth if above else 0) + 1 if starter.run else 0
        if depth > MAX_DEPTH:
            raise BudgetExhausted(f"runs start runs at most {MAX_DEPTH} deep", hint="do it in this run")
        run, started_at = new_run_id(self._clock, self._ids), rfc3339(self._clock.now())
        chain = above.chain if above else ()
        if starter.run and starter.agent:
            chain = (*chain, starter.agent)
        return Live(run, agent, task, starter, started_at, depth, began=self._clock.monotonic(), chain=chain)

    async def _started_as(self, agent: str, task: str, key: str) -> str | None:
        """The run that was started under *key*. Raises Conflict when that had another task."""
        entry: Entry | None = await self._store.chain.find(agent, WRITER, start_key(key))
        if entry is None:
            return None
        if entry.event.get("task_hash") != task_hash(task):
            raise Conflict(f"the key {key[:80]!r} was used for another task", hint="use a new key for a new task")
        return str(entry.event["run_id"])

    async def _recorded(self, live: Live) -> str:
        with anyio.move_on_after(START_SECONDS):
            while not (live.recorded.is_set() or live.ended.is_set()):
                await live.changed.wait()
        if live.error is not None and not live.recorded.is_set():
            raise live.error
        return live.run

    def _purse_above(self, starter: Starter) -> Purse | None:
        """The purse that a new run's share comes out of; None for what no run starts. Blocks."""
        if starter.run is None:
            return None
        purses = purses_of(self._store)
        known = purses.get(starter.run) or self._elsewhere.get(starter.run)
        if known is None:  # the run is in another process: what it starts here is counted here
            grants = GrantReader(self._store.files, self._clock)
            grant = ROOT if starter.grant is None else grants.of_run(starter.grant, str(starter.agent))
            known = self._elsewhere.setdefault(starter.run, Purse(grant))
            while len(self._elsewhere) > ENDED_KEPT:
                self._elsewhere.popitem(last=False)
        return known

    async def _go(self, live: Live, options: RunOptions, purse: Purse | None) -> None:
        inside_run.set(True)
        watcher = Watcher(live, self._ring)
        try:
            with live.scope:
                live.result = await run_task(
                    options, watcher, clock=self._clock, ids=self._ids, model=self._settings.open_model,
                    shared=self._shared,
                )  # fmt: skip
                await self._keep_result(live)
        except ArgosyError as error:
            live.error = error
        except Exception as error:
            logger.exception("the run %s broke", live.run)
            live.error = Unavailable(f"the run broke: {type(error).__name__}", hint="mcp-host doctor")
        finally:
            if purse is not None:
                purse.ended(live.run, self._clock.monotonic() - live.began)
            failed = live.result is None or live.result.status == "error"
            breaker_of(self._store, self._clock).note(live.agent, failed and not live.scope.cancel_called)
            self._close(live)

    def _close(self, live: Live) -> None:
        self._live.pop(live.run, None)
        self._ended[live.run] = live
        while len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)
        live.ended.set()
        live.changed.set()
        self._ring(live.run)

    async def _keep_result(self, live: Live) -> None:
        """The whole answer where any process finds it; the log has only its first words."""
        assert live.result is not None
        data = json.dumps(live.result.as_json(), ensure_ascii=False, indent=2).encode() + b"\n"
        try:
            await self._store.documents.write(result_path(live.agent, live.run), data)
        except ArgosyError as error:
            logger.warning("the result of %s was not kept: %s", live.run, error)

    def cancel(self, run: str) -> bool:
        """End *run* and the runs below it now, where they go on in this process; False when none does."""
        found = [live for live in self._live.values() if live.run == run or live.starter.run == run]
        for live in found:
            live.scope.cancel()
            if live.run != run:
                self.cancel(live.run)
        return bool(found)

    def _ring(self, run: str) -> None:
        self._store.bell.ring(f"{RUN_PATHS}{run}")

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


RUN_PATHS = "_fleet/.runs/"  # no files: how the bell names a run of this process


def share_book(store: Store, book: RunBook) -> None:
    """Make *book* the one of *store*, before anybody asks for it."""
    store.shared(SHARED_NAME, lambda: book, lambda _: None)


def book_of(store: Store, clock: Clock, ids: Ids) -> RunBook:
    """The book of *store*, made when there is none yet."""
    return store.shared(SHARED_NAME, lambda: RunBook(store, clock, ids), lambda book: None)
