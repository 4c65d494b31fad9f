"""Each change of the queue as an event, in the stream of the agent whose item it is, and as a ring."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from argosy_core.serving.config import ServerConfig
from argosy_core.storage.base import Item
from argosy_core.types import Caller

FLEET = "_fleet"
ROOT = "_fleet/queue"
_BY_THE_CLOCK = {"ready": "queue.lease_ended", "dead": "queue.dead", "expired": "queue.expired"}


class QueueHistory:
    """Tells the log and the bell."""

    def __init__(self, config: ServerConfig) -> None:
        self._chain = config.store.chain
        self._documents = config.store.documents
        self._items = config.store.items
        self._bell = config.store.bell

    async def tell(self, kind: str, item: Item, caller: Caller, **more: Any) -> None:
        """Log that *item* came to be as it is by *kind*; before that, what the clock did meanwhile."""
        await self.catch_up()
        lease = {"worker": item.lease.holder, "generation": item.lease.generation} if item.lease else {}
        await self._append(item.creator, _event(kind, item) | lease | more | _run(caller))
        self._ring([item])

    async def tell_cancelled(self, items: Sequence[Item], caller: Caller, reason: str) -> None:
        """Log that *items* were cancelled together: one event for each agent whose they are."""
        await self.catch_up()
        for creator in {item.creator for item in items}:
            ids = [item.id for item in items if item.creator == creator]
            event = {"kind": "queue.drain", "queue": items[0].queue, "items": ids, "reason": reason}
            await self._append(creator, event | _run(caller))
        self._ring(items)

    async def catch_up(self) -> None:
        """Log what ended by the clock and was put right by the way."""
        for item in self._items.settled():
            kind = _BY_THE_CLOCK.get(item.state, "queue.settled")
            await self._append(item.creator, _event(kind, item))
            self._ring([item])

    async def _append(self, creator: str | None, event: dict[str, Any]) -> None:
        stream = creator if creator is not None and creator in await self._documents.folders() else FLEET
        await self._chain.append(stream, "queue", event)

    def _ring(self, items: Iterable[Item]) -> None:
        self._bell.ring(*(f"{ROOT}/{item.queue}/{item.state}/{item.id}.json" for item in items))


def _event(kind: str, item: Item) -> dict[str, Any]:
    fields = {"item": item.id, "queue": item.queue, "state": item.state, "attempt": item.attempt, "reason": item.reason}
    return {"kind": kind, **{name: value for name, value in fields.items() if value is not None}}


def _run(caller: Caller) -> dict[str, str]:
    return {"run_id": caller.run} if caller.run else {}
