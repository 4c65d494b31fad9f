"""Change notices: what the bell says of files becomes what a client hears of resources, in both protocol eras."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    PromptsListChanged,
    ResourceUpdated,
    ServerEvent,
    SubscriptionBus,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, EmptyResult, SubscribeRequestParams, UnsubscribeRequestParams

from argosy_core.storage.base import Bell

logger = logging.getLogger(__name__)
MAX_SUBSCRIPTIONS = 1000  # of one client


class ChangeBus(InMemorySubscriptionBus):
    """The SDK's bus, which also tells whether anybody listens."""

    @property
    def is_heard(self) -> bool:
        return bool(self._listeners)


class Announcer:
    """Listens to the bell while started and publishes on `bus`, which serves ``subscriptions/listen`` (2026)."""

    def __init__(
        self,
        bell: Bell,
        uris_of: Callable[[str], Sequence[str]],
        changes_tools: Callable[[str], bool] | None = None,
        changes_prompts: Callable[[str], bool] | None = None,
    ) -> None:
        self.bus = ChangeBus()
        self._bell = bell
        self._uris_of = uris_of
        self._lists: Sequence[tuple[Callable[[str], bool] | None, Callable[[], ServerEvent]]] = (
            (changes_tools, ToolsListChanged),
            (changes_prompts, PromptsListChanged),
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_listening: Callable[[], None] | None = None
        self._tasks = _Tasks()

    def start(self) -> None:
        """Begin to announce on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._stop_listening = self._bell.listen("", self._heard)

    def stop(self) -> None:
        """End announcing. Idempotent."""
        if self._stop_listening is not None:
            self._stop_listening()
        self._stop_listening = self._loop = None

    def _heard(self, paths: frozenset[str]) -> None:
        loop = self._loop
        if loop is None or not self.bus.is_heard:  # nearly every write of nearly every client
            return
        events: list[ServerEvent] = [
            ResourceUpdated(uri=uri) for uri in sorted({u for path in paths if path for u in self._uris_of(path)})
        ]
        events += [event() for changes, event in self._lists if changes is not None and any(map(changes, paths))]
        if not events:
            return
        try:
            loop.call_soon_threadsafe(self._publish, events)
        except RuntimeError:  # the loop closed while we looked
            self._loop = None

    def _publish(self, events: Sequence[ServerEvent]) -> None:
        for event in events:
            self._tasks.start(self.bus.publish(event))


class LegacySubscriptions:
    """``resources/subscribe`` of the 2025 protocol over a bus; the SDK leaves it to its users."""

    def __init__(self, bus: SubscriptionBus) -> None:
        # What each connection asked for; a session is made anew for every request, a connection stays.
        self._subscribers: dict[Connection, set[str]] = {}
        self._tasks = _Tasks()
        self._bus = bus
        self._stop_hearing: Callable[[], None] | None = None

    def serve(self, server: Server[Any]) -> None:
        """Answer subscriptions made through *server*."""

        async def subscribe(ctx: ServerRequestContext[Any, Any], params: SubscribeRequestParams) -> EmptyResult:
            connection = _connection_of(ctx)
            wanted = self._subscribers.get(connection)
            if wanted is None:
                wanted = self._subscribers[connection] = set()
                connection.exit_stack.callback(self._forget, connection)
                self._stop_hearing = self._stop_hearing or self._bus.subscribe(self._heard)
            if len(wanted) >= MAX_SUBSCRIPTIONS and params.uri not in wanted:
                raise MCPError(code=INVALID_PARAMS, message=f"a client has at most {MAX_SUBSCRIPTIONS} subscriptions")
            wanted.add(str(params.uri))
            return EmptyResult()

        async def unsubscribe(ctx: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams) -> EmptyResult:
            self._subscribers.get(_connection_of(ctx), set()).discard(str(params.uri))
            return EmptyResult()

        server.add_request_handler("resources/subscribe", SubscribeRequestParams, subscribe)
        server.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, unsubscribe)

    def _forget(self, connection: Connection) -> None:
        self._subscribers.pop(connection, None)
        if not self._subscribers and self._stop_hearing is not None:
            self._stop_hearing()
            self._stop_hearing = None

    def _heard(self, event: ServerEvent) -> None:
        if not isinstance(event, ResourceUpdated):
            return
        uri = str(event.uri)
        for connection, wanted in list(self._subscribers.items()):
            if uri in wanted:
                # Best effort by the SDK: a client that went away raises nothing.
                self._tasks.start(connection.notify("notifications/resources/updated", {"uri": uri}))


def _connection_of(ctx: ServerRequestContext[Any, Any]) -> Connection:
    # The SDK's sessions keep it to themselves, and have nothing else that lasts.
    return ctx.session._connection  # pyright: ignore[reportPrivateUsage]


class _Tasks:
    """Started and left to run; kept so that none is collected while it waits."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("a change could not be announced", exc_info=error)
