"""Clients that hear of changes, each in the manner of its era."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
from mcp import Client

from argosy_core.storage.base import Bell

WAIT_SECONDS = 15


def client_of(target: Any, era: str = "auto", **more: Any) -> Any:
    """A client of *target*, untyped: a test says itself what must be in an answer."""
    return Client(target, mode=era, cache=None, **more)


async def watching(bell: Bell) -> None:
    """Wait until *bell* hears what others change."""
    begun = anyio.Event()
    token = anyio.lowlevel.current_token()
    stop = bell.listen("", lambda paths: anyio.from_thread.run_sync(begun.set, token=token))
    with anyio.fail_after(WAIT_SECONDS):
        while not bell.watching:
            await begun.wait()
    stop()


class Heard:
    """The URIs that a client was told of, and a way to wait for the next."""

    def __init__(self) -> None:
        self.uris: list[str] = []
        self._more = anyio.Event()

    def __call__(self, uri: str) -> None:
        self.uris.append(uri)
        self._more.set()

    async def until(self, count: int) -> None:
        with anyio.fail_after(WAIT_SECONDS):
            while len(self.uris) < count:
                await self._more.wait()
                self._more = anyio.Event()


@asynccontextmanager
async def subscribed(server: Any, era: str, *uris: str) -> AsyncGenerator[tuple[Any, Heard]]:
    """A client of *server* that hears of *uris* in the manner of its *era*."""
    heard = Heard()

    async def on_message(message: Any) -> None:
        if getattr(message, "method", "") == "notifications/resources/updated":
            heard(str(message.params.uri))

    async with AsyncExitStack() as stack:
        handler = on_message if era == "legacy" else None
        client = await stack.enter_async_context(client_of(server, era, message_handler=handler))
        if era == "legacy":
            assert client.server_capabilities.resources.subscribe
            for uri in uris:
                await client.session.subscribe_resource(uri)
        else:
            subscription = await stack.enter_async_context(client.listen(resource_subscriptions=list(uris)))

            async def read() -> None:
                async for event in subscription:
                    heard(str(event.uri))

            tasks = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(tasks.cancel_scope.cancel)
            tasks.start_soon(read)
        yield client, heard
