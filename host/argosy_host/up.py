"""The background process: fleet, scheduler and workers of one vault, the private door, health and metrics.

One task for each part, all ended together: by SIGTERM, by `down`, or because a part cannot go on.
"""

from __future__ import annotations

import json
import logging
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from anyio.abc import SocketStream

from argosy_core import __version__
from argosy_core.clock import Clock, SystemClock, rfc3339
from argosy_core.errors import ArgosyError, Unavailable
from argosy_core.fleet import load_registry
from argosy_core.ids import Ids, SystemIds
from argosy_core.secrets.secret_store import open_secrets
from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.serving.identity import RunTokens
from argosy_core.serving.server import ArgosyServer
from argosy_core.storage.address import Address
from argosy_core.storage.opening import address_of
from argosy_core.types import Role
from argosy_core.views.agents import default_agent
from argosy_core.views.vault_reader import VaultReader
from argosy_host.aftermath import bury, worker_name
from argosy_host.compose import Fleet, compose, load_server
from argosy_host.door import Door, Handler, Prepare
from argosy_host.gateway import build_gateway
from argosy_host.metrics import Metrics, serve_health
from argosy_host.notices import Sender, tell_what_waits
from argosy_host.queued import QueuedRuns
from argosy_host.remote_chat import beginning, turn
from argosy_host.remote_run import options_of, serve_run
from argosy_host.running.book import BookSettings, RunBook, share_book
from argosy_host.running.history import close_all_killed
from argosy_host.runtime import Facts, Place, forget_facts, read_facts, write_facts
from argosy_host.session import Shared
from argosy_host.trust import Approvals, state_folder
from argosy_host.webhooks import Webhooks
from argosy_host.worker import Worker

FLEET = "_fleet"
TOKEN_SECONDS = 300.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What to keep up; *address* is where health and metrics answer."""

    vault: Path
    store: Address | None = None
    workers: int = 2
    address: str = "127.0.0.1:0"
    model: str | None = None


class Up:
    """One running fleet."""

    def __init__(self, options: UpOptions, place: Place, clock: Clock | None = None, ids: Ids | None = None) -> None:
        self._options = options
        self._place = place
        self._clock = clock or SystemClock()
        self._ids = ids or SystemIds()
        self._stop = anyio.Event()
        self._tokens = RunTokens(self._clock)
        self._metrics = Metrics(self._clock)

    def stop(self) -> None:
        """End everything, gracefully."""
        self._stop.set()

    async def run(self) -> None:
        """Be up until stopped. Raises ArgosyError when it cannot start."""
        # Who runs this holds the lock: whoever left facts behind was killed.
        killed = await to_thread.run_sync(read_facts, self._place)
        forget_facts(self._place)
        store = await to_thread.run_sync(
            lambda: open_store(self._options.vault, self._options.store, clock=self._clock, ids=self._ids)
        )
        config = ServerConfig(
            store=store, profile="full", host_key=self._tokens.public_key, clock=self._clock, ids=self._ids
        )
        try:
            if killed is not None and killed.mark is not None:
                returned = await bury(store, killed.mark)
                logger.warning("process %s was killed; %s items given back", killed.pid, returned)
            async with self._fleet(config) as (fleet, shared):
                await self._live(config, fleet, shared)
        finally:
            forget_facts(self._place)
            await to_thread.run_sync(store.close)

    @asynccontextmanager
    async def _fleet(self, config: ServerConfig) -> AsyncGenerator[tuple[Fleet, Shared]]:
        reader = VaultReader(config.store.files)
        registry = await to_thread.run_sync(lambda: load_registry(reader.read("registry.json")))
        own = [server for server in registry.servers if server.own and server.transport == "in_process"]
        servers: dict[str, ArgosyServer] = {}
        shared = Shared(config.store, self._tokens, servers, lambda: book.mark)
        book = RunBook(config.store, self._clock, self._ids, BookSettings(self._options.model, shared))
        # Before the host's servers are made: those of all clients have this one book.
        share_book(config.store, book)
        servers |= {server.name: load_server(server.entry_point or server.name, config) for server in own}
        async with compose(own, config, self._token(), servers) as fleet:
            if fleet.problems:
                raise Unavailable(f"servers did not start: {fleet.problems}", hint="mcp-host doctor")
            await book.arrive()
            await close_all_killed(config.store, self._clock, self._ids)
            yield fleet, shared

    async def _live(self, config: ServerConfig, fleet: Fleet, shared: Shared) -> None:
        own = await to_thread.run_sync(_address_or_none, self._options.vault)
        is_own = own is not None and own.key == config.store.address.key
        async with anyio.create_task_group() as tasks:
            url = await tasks.start(serve_health, self._options.address, self._metrics, self._hooks(config))
            facts = Facts(
                pid=self._metrics.pid,
                vault=str(config.store.root),
                store=config.store.address.key,
                is_own=is_own,
                version=__version__,
                started_at=rfc3339(self._clock.now()),
                http=url,
                mark=shared.mark(),
            )
            handlers: dict[str, Prepare] = {
                "stop": lambda _: self._on_stop,
                "status": lambda _: self._on_status,
                "run": lambda hello: self._prepare_run(hello, shared),
                "conversation": lambda hello: beginning(hello, shared, self._clock, self._ids),
                "say": lambda hello: turn(hello, shared, self._clock, self._ids),
            }
            door = Door(self._place, facts, lambda hello: self._make_server(config, hello), handlers)
            self._metrics.door = door
            await tasks.start(door.serve)
            self._start_workers(tasks, fleet, shared)
            tasks.start_soon(self._tell, config)
            tasks.start_soon(self._obey_signals)
            await to_thread.run_sync(write_facts, self._place, facts)
            self._metrics.ready = True
            logger.info("up: %s", url)
            await self._stop.wait()
            self._metrics.ready = False
            # Workers end by themselves within their bound; listeners are cancelled after that.
            await self._metrics.workers_ended()
            tasks.cancel_scope.cancel()

    def _hooks(self, config: ServerConfig) -> Webhooks:
        scheduler = load_server("scheduler", replace(config, role=Role.OPERATOR, host_key=None))
        secrets = open_secrets(VaultReader(config.store.files), clock=self._clock, ids=self._ids)
        return Webhooks(scheduler, secrets, self._clock)

    async def _tell(self, config: ServerConfig) -> None:
        secrets = open_secrets(VaultReader(config.store.files), clock=self._clock, ids=self._ids)
        sender = Sender(secrets, self._clock)
        await tell_what_waits(config.store, Approvals(state_folder()), sender, self._clock, self._ids, self._stop)

    def _start_workers(self, tasks: anyio.abc.TaskGroup, fleet: Fleet, shared: Shared) -> None:
        for server in shared.servers.values():
            for work in server.workers:
                tasks.start_soon(self._metrics.track, work, self._stop)
        if "queue" not in shared.servers:
            return
        runs = QueuedRuns(self._options, shared, self._clock, self._ids)
        for number in range(self._options.workers):
            worker = Worker(
                worker_name(shared.mark(), number), lambda t, a: self._call(fleet, t, a), runs.run, self._clock
            )
            self._metrics.work.append(worker.work)
            tasks.start_soon(self._metrics.track, worker.run, self._stop)

    async def _call(self, fleet: Fleet, tool: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        outcome = await fleet.call(tool, arguments, self._token())
        if outcome.is_error or outcome.structured is None:
            raise outcome.error()
        return outcome.structured

    def _token(self) -> str:
        return self._tokens.issue(FLEET, f"up-{self._metrics.pid}", ttl_seconds=TOKEN_SECONDS)

    def _make_server(self, config: ServerConfig, hello: Mapping[str, Any]) -> Any:
        agent = hello.get("agent") or self._default_agent(config)
        mine = replace(
            config,
            agent=agent,
            role=Role.OPERATOR if hello.get("role") == "operator" else Role.AGENT,
            profile="full" if hello.get("profile") == "full" else "default",
            host_key=None,
        )
        names = hello.get("servers") or [s.name for s in load_registry(None).servers]
        wanted = list(dict.fromkeys(map(str, names)))
        return load_server(wanted[0], mine) if len(wanted) == 1 else build_gateway(wanted, mine, self._tokens).server

    def _default_agent(self, config: ServerConfig) -> str | None:
        try:
            return default_agent(VaultReader(config.store.files))
        except ArgosyError:
            return None

    def _prepare_run(self, hello: Mapping[str, Any], shared: Shared) -> Handler:
        options = options_of(hello, shared)
        return lambda _, stream, rest: serve_run(stream, rest, options, shared)

    async def _on_stop(self, hello: Mapping[str, Any], stream: SocketStream, rest: object) -> None:
        self.stop()

    async def _on_status(self, hello: Mapping[str, Any], stream: SocketStream, rest: object) -> None:
        await stream.send(json.dumps(self._metrics.as_json()).encode() + b"\n")

    async def _obey_signals(self) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                self.stop()


def _address_or_none(vault: Path) -> Address | None:
    """What the vault itself says of where it is kept; None when it cannot be read."""
    try:
        return address_of(vault)
    except ArgosyError:
        return None
