"""The clients of one gateway, each with its run.

A pipe has one client, which leaves when the gateway ends. Over HTTP a client is its session where the protocol has one;
where every request stands alone it is its principal, who has left after half an hour without a call above reading.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from mcp.server.connection import Connection

from argosy_core.types import Caller
from argosy_host.guarded.client_call import Request
from argosy_host.guarded.client_run import Behind, ClientRun

IDLE_SECONDS = 1800.0
_Key = tuple[str, str, str]


class Clients:
    """Knows the clients that are there."""

    def __init__(self, behind: Behind) -> None:
        self._behind = behind
        self._runs: dict[_Key, ClientRun] = {}

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Clients may come while the block runs; at its end the runs of all have theirs."""
        behind = self._behind
        behind.book.enter()
        try:
            async with behind.composed.open():
                try:
                    yield
                finally:
                    for run in list(self._runs.values()):
                        await run.end()
                    self._runs.clear()
        finally:
            await behind.book.leave()

    async def of(self, ctx: Request, caller: Caller) -> ClientRun:
        """The run of the client behind *ctx*, who is *caller*."""
        connection = _connection_of(ctx)
        session, is_pipe = connection.session_id, ctx.request is None
        key = (session or ("pipe" if is_pipe else "http"), caller.principal, caller.role.value)
        if session is None and not is_pipe:
            await self._end_idle()
        run = self._runs.get(key)
        if run is None:
            run = self._runs[key] = ClientRun(self._behind, caller, _name_of(ctx))
            if session is not None:
                connection.exit_stack.push_async_callback(self._left, key)
        return run

    async def _left(self, key: _Key) -> None:
        run = self._runs.pop(key, None)
        if run is not None:
            await run.end()

    async def _end_idle(self) -> None:
        since = self._behind.config.clock.monotonic() - IDLE_SECONDS
        for key, run in list(self._runs.items()):
            if key[0] == "http" and not run.is_busy and run.used_at < since:
                await self._left(key)


def _name_of(ctx: Request) -> str:
    """What the client calls itself: no more than a name in the log."""
    info = ctx.session.client_params.client_info if ctx.session.client_params else None
    return f"{info.name} {info.version}" if info else ""


def _connection_of(ctx: Request) -> Connection:
    # The SDK's sessions keep it to themselves, and nothing else says when a client leaves.
    return ctx.session._connection  # pyright: ignore[reportPrivateUsage]
