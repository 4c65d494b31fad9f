"""Who may see which streams."""

from __future__ import annotations

from argosy_core.errors import NotFound, PermissionDenied
from argosy_core.serving.server import need_agent
from argosy_core.storage.base import Store
from argosy_core.storage.day_chain import FLEET
from argosy_core.types import Caller, Role
from argosy_log.events import Scope


class Access:
    """The rule in one place: an agent sees its own stream and what names it in the fleet's; operators see all.

    A run token names an agent, and what a run's model asks for comes under that token: it sees what the agent sees.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def scope(self, caller: Caller, agent: str | None = None) -> Scope:
        """What *caller* sees, narrowed to *agent*. Raises PermissionDenied, NotFound (no such agent)."""
        if caller.role is not Role.OPERATOR:
            own = need_agent(caller)
            if agent is not None and agent != own:
                raise PermissionDenied(f"{own} sees its own events", hint="leave agent out")
            return _scope_of(own)
        if agent is None:
            return Scope(tuple(await self._store.chain.streams()))
        await self._check_exists(agent)
        return _scope_of(agent)

    async def streams(self, caller: Caller, stream: str | None = None) -> tuple[str, ...]:
        """The streams whose chains *caller* may look at, or just *stream*. Raises as `scope` does."""
        if caller.role is not Role.OPERATOR:
            own = need_agent(caller)
            if stream not in (None, own, FLEET):
                raise PermissionDenied(f"{own} sees its own stream", hint="leave stream out")
            return (own, FLEET) if stream is None else (stream,)
        if stream is None:
            return tuple(await self._store.chain.streams())
        await self._check_exists(stream)
        return (stream,)

    async def _check_exists(self, stream: str) -> None:
        if stream != FLEET and stream not in await self._store.documents.folders():
            raise NotFound(f"there is no agent {stream[:80]!a}", hint="agent_list shows the agents")


def _scope_of(agent: str) -> Scope:
    return Scope((FLEET,)) if agent == FLEET else Scope((agent, FLEET), agent)
