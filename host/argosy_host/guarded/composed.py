"""What a gateway has beside the servers it shows: judge, log and desk for its gate, and the foreign servers that a
person approved. They are connected when they are first needed, and end with the gateway.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
from anyio import CancelScope, to_thread
from anyio.abc import TaskGroup

from argosy_core.errors import ArgosyError, Unavailable
from argosy_core.fleet import FleetServer
from argosy_core.secrets.redaction import PROCESS
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.identity import RunTokens
from argosy_core.serving.server import ArgosyServer
from argosy_core.storage.day_chain import FLEET
from argosy_core.views.agents import load_agent
from argosy_core.views.vault_reader import VaultReader
from argosy_host.compose import Fleet, compose, load_server
from argosy_host.judge_model import JudgeModel, closing
from argosy_host.model_rule import ruled_model
from argosy_host.progress import Progress
from argosy_host.providers.choosing import choose_model
from argosy_host.session import NEEDED, fleet_servers
from argosy_host.trust import Approvals, state_folder

LISTING_SECONDS = 60.0

logger = logging.getLogger(__name__)


class _Warnings(Progress):
    """Servers that stay off are told to whoever reads this process's log."""

    def problem(self, text: str) -> None:
        logger.warning("%s", PROCESS.redact_text(text))


class Composed:
    """The servers behind one gateway; *shows_foreign* says whether its clients see the foreign ones."""

    def __init__(
        self, config: ServerConfig, tokens: RunTokens, loaded: Mapping[str, ArgosyServer], *, shows_foreign: bool
    ) -> None:
        self._config = config
        self._tokens = tokens
        self._loaded = dict(loaded)
        self._shows_foreign = shows_foreign
        self._tasks: TaskGroup | None = None
        self._begun = False
        self._ready = anyio.Event()
        self._stop = anyio.Event()
        self._fleet = Fleet()
        self._error: ArgosyError | None = None
        self._judge_model: JudgeModel | None = None
        self.has_foreign = False

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Connected, on demand, while the block runs."""
        servers = await to_thread.run_sync(self._servers)
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            self._wanted = servers
            if self.has_foreign:
                self._begin()
            try:
                yield
            finally:
                self._stop.set()
                if not self._ready.is_set():
                    tasks.cancel_scope.cancel()

    async def fleet(self) -> Fleet:
        """Everything connected. Raises Unavailable when the gate lacks what it needs."""
        fleet = await self._connected()
        missing = [name for name in NEEDED if name not in fleet.clients or name in fleet.problems]
        if missing:
            reasons = "; ".join(f"{name} {fleet.problems.get(name, 'is not in the registry')}" for name in missing)
            raise Unavailable(f"nothing above reading can happen without {', '.join(missing)}: {reasons}",
                              hint="mcp-host doctor")  # fmt: skip
        return fleet

    async def foreign(self) -> Fleet | None:
        """The same for the tools of foreign servers; None when there are none. Raises Unavailable."""
        return await self._connected() if self.has_foreign else None

    async def _connected(self) -> Fleet:
        self._begin()
        with anyio.move_on_after(LISTING_SECONDS):
            await self._ready.wait()
        if self._error is not None:
            raise self._error
        if not self._ready.is_set():
            raise Unavailable("the servers behind this gateway do not answer", hint="try again")
        return self._fleet

    def _begin(self) -> None:
        if self._begun:
            return
        if self._tasks is None:
            raise Unavailable("this gateway serves nobody yet", hint="connect to it")
        self._begun = True
        self._tasks.start_soon(self._hold, self._wanted)

    async def _hold(self, servers: Sequence[FleetServer]) -> None:
        token = self._tokens.issue(self._config.agent or FLEET, "gateway")
        try:
            for server in servers:
                if server.own and server.transport == "in_process" and server.name not in self._loaded:
                    self._loaded[server.name] = load_server(server.entry_point or server.name, self._config)
            async with (
                AsyncExitStack() as stack,
                compose(servers, self._config, token, self._loaded, await self._sampler(stack)) as fleet,
            ):
                for name, what in fleet.problems.items():
                    logger.warning("the server %s is left out: %s", name, PROCESS.redact_text(what))
                self._fleet = fleet
                self._ready.set()
                with CancelScope(shield=True):  # a client's run has its end to write first
                    await self._stop.wait()
        except ArgosyError as error:
            self._error = error
        finally:
            self._ready.set()

    async def _sampler(self, stack: AsyncExitStack) -> JudgeModel | None:
        """What makes the completions that the judge asks for: never the client, whose calls are judged."""
        return None if self._judge_model is None else await stack.enter_async_context(closing(self._judge_model))

    def _servers(self) -> Sequence[FleetServer]:
        """What is behind this gateway, by the vault's files of the moment it starts. Blocks."""
        reader, agent = VaultReader(self._config.store.files), self._config.agent
        progress = _Warnings() if self._shows_foreign else Progress()
        try:
            view = load_agent(reader, agent) if agent else None
        except ArgosyError as error:
            progress.problem(f"the agent {agent} cannot be read: {error}")
            view = None
        if view is not None:
            self._judge_model = JudgeModel(
                reader, view.name, choose_model(None, view.model, ruled_model(reader, view.name))[0]
            )
        found = fleet_servers(reader, view, Approvals(state_folder()), self._config.store.root, progress)
        foreign = [server for server in found if not server.own] if self._shows_foreign else []
        self.has_foreign = bool(foreign)
        return [server for server in found if server.own and server.name in NEEDED] + foreign
