"""`Items` as coroutines over sessions that block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from argosy_core.clock import Clock
from argosy_core.ids import Ids
from argosy_core.storage import item_rules as rules
from argosy_core.storage.item import Hold, Item, ItemState, Lease, NewItem
from argosy_core.storage.item_checks import (
    check_content,
    check_failure,
    check_lease_seconds,
    check_priority,
)
from argosy_core.storage.item_session import ItemSession

T = TypeVar("T")
SETTLED_KEPT = 10_000


class ItemCalls(ABC):
    """Every call is one session in a worker thread."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids
        self._settled: deque[Item] = deque(maxlen=SETTLED_KEPT)

    @abstractmethod
    async def _run(self, work: Callable[[ItemSession], T]) -> T:
        """What *work* makes of a session, durably; what the session settled is kept for `settled`."""

    # Work

    async def enqueue(self, new: NewItem) -> tuple[Item, bool]:
        return await self._run(lambda session: session.enqueue(new))

    async def claim(
        self, queue: str, worker: str, lease_seconds: float, count: int = 1, profile: Mapping[str, Any] | None = None
    ) -> Sequence[Item]:
        return await self._run(lambda session: session.claim(queue, worker, lease_seconds, count, profile))

    async def renew(self, item: str, token: str, lease_seconds: float) -> Item:
        check_lease_seconds(lease_seconds)
        now = self._clock.now
        return await self._with_token(item, token, lambda i, lease: rules.renewed(i, lease, now(), lease_seconds))

    async def complete(self, item: str, token: str, result: Mapping[str, Any]) -> Item:
        def work(session: ItemSession) -> Item:
            check_content(result, "result")
            return session.change(item, lambda found: rules.completed_with(found, token, result, self._clock.now()))

        return await self._run(work)

    async def fail(self, item: str, token: str, error: str, retry_in_seconds: float | None = None) -> Item:
        check_failure(retry_in_seconds)
        now = self._clock.now
        return await self._with_token(item, token, lambda i, _: rules.failed(i, error, now(), retry_in_seconds))

    async def release(self, item: str, token: str, hold: str | None = None) -> Item:
        return await self._with_token(item, token, lambda i, _: rules.released(i, hold))

    async def _with_token(self, item: str, token: str, change: Callable[[Item, Lease], Item]) -> Item:
        def checked(found: Item) -> Item:
            return change(found, rules.check_token(found, token))

        return await self._run(lambda session: session.change(item, checked))

    async def cancel(self, item: str, reason: str = "cancelled") -> Item:
        now = self._clock.now

        def cancel(found: Item) -> Item:
            return found if found.state == "cancelled" else rules.cancelled(found, reason, now())

        return await self._run(lambda session: session.change(item, cancel, settled=True))

    async def prioritize(self, item: str, priority: int) -> Item:
        check_priority(priority)

        def prioritize(found: Item) -> Item:
            return rules.prioritized(found, priority)

        return await self._run(lambda session: session.change(item, prioritize, settled=True))

    async def retry(self, item: str) -> Item:
        return await self._run(lambda session: session.change(item, rules.retried, settled=True))

    async def drain(self, queue: str, reason: str, count: int = 500) -> Sequence[Item]:
        return await self._run(lambda session: session.drain(queue, reason, count))

    # Looking

    async def settle(self, queue: str | None = None) -> Sequence[Item]:
        await self._run(lambda session: session.settle(queue))
        return self.settled()

    def settled(self) -> Sequence[Item]:
        return told_once(self._settled)

    async def get(self, item: str) -> Item:
        return await self._run(lambda session: session.change(item, _unchanged, settled=True))

    async def explain(self, item: str) -> tuple[Item, Sequence[Hold]]:
        return await self._run(lambda session: session.explain(item))

    async def list(
        self,
        queue: str | None = None,
        state: ItemState | None = None,
        *,
        creator: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> tuple[Sequence[Item], str | None]:
        return await self._run(lambda session: session.list(queue, state, creator, limit, cursor))

    async def counts(self, queue: str | None = None, creator: str | None = None) -> Mapping[ItemState, int]:
        return await self._run(lambda session: session.counts(queue, creator))

    async def problems(self, queue: str | None = None) -> Sequence[Item]:
        return await self._run(lambda session: session.problems(queue))

    async def queues(self) -> Sequence[str]:
        return await self._run(lambda session: session.names())


def told_once(settled: deque[Item]) -> Sequence[Item]:
    """What is in *settled*, which is empty then; whoever adds to it meanwhile is told of the next time."""
    found: list[Item] = []
    while settled:
        found.append(settled.popleft())
    return found


def _unchanged(item: Item) -> Item:
    return item
