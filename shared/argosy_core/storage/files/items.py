"""Items as JSON files, ``_fleet/queue/<queue>/<state>/<item>.json``: these are the truth, their order a projection."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar

from anyio import to_thread

from argosy_core.clock import Clock
from argosy_core.errors import InvalidArgument, NotFound
from argosy_core.ids import Ids
from argosy_core.names import is_sound
from argosy_core.storage import item_rules as rules
from argosy_core.storage.files.item_folders import ROOT
from argosy_core.storage.files.item_pages import PAGE_END, page
from argosy_core.storage.files.item_projection import Projection, statement
from argosy_core.storage.files.item_queue import LockedQueue
from argosy_core.storage.files.item_reasons import why_waiting
from argosy_core.storage.item import Hold, Item, ItemState, Lease, NewItem
from argosy_core.storage.item_checks import (
    check_claim,
    check_content,
    check_failure,
    check_lease_seconds,
    check_new,
    check_priority,
    check_queue,
)
from argosy_core.vault import Vault

T = TypeVar("T")
_Found = list[Item]  # in the class, `list` is its method
MAX_DRAIN = 1000
SETTLED_KEPT = 10_000
CLAIM_ROUNDS = 8  # how often a claim chooses again after files turned out to be other than their rows


class FileItems:
    """`Items` over a vault; every call is one hop to a worker thread."""

    def __init__(self, vault: Vault, clock: Clock, ids: Ids) -> None:
        self._vault = vault
        self._clock = clock
        self._ids = ids
        self._projection = Projection(vault)
        self._settled: deque[Item] = deque(maxlen=SETTLED_KEPT)

    def close(self) -> None:
        """Let go of the projection's file."""
        self._projection.close()

    # Work

    async def enqueue(self, new: NewItem) -> tuple[Item, bool]:
        return await _off_loop(self._enqueue, new)

    def _enqueue(self, new: NewItem) -> tuple[Item, bool]:
        check_new(new)
        now = self._clock.now()
        id = rules.item_id(new, now, self._ids)
        with self._locked(new.queue) as queue:
            known = queue.find_file(id) if new.key is not None else None
            if known is not None:
                rules.check_same(known, new)
                return known, True
            item = rules.new_item(new, id, now, queue.ask(lambda rows: rows.next_seq()))
            queue.change([(None, item)])
        return item, False

    async def claim(
        self, queue: str, worker: str, lease_seconds: float, count: int = 1, profile: Mapping[str, Any] | None = None
    ) -> Sequence[Item]:
        return await _off_loop(self._claim, queue, worker, lease_seconds, count, profile)

    def _claim(
        self, name: str, worker: str, lease_seconds: float, count: int, profile: Mapping[str, Any] | None
    ) -> Sequence[Item]:
        check_claim(name, worker, lease_seconds, count)
        now = self._clock.now()
        with self._locked(name) as queue:
            self._settled += queue.settle()
            found = self._choose(queue, count, profile)
            token = self._ids.random
            claimed = [rules.claimed(item, worker, token(16).hex(), now, lease_seconds) for item in found]
            if claimed:
                queue.change([(before.state, item) for before, item in zip(found, claimed, strict=True)])
        return claimed

    def _choose(self, queue: LockedQueue, count: int, profile: Mapping[str, Any] | None) -> Sequence[Item]:
        """The next items as their files say; when a file is other than its row, the row is mended and we look again."""
        found: _Found = []
        for _ in range(CLAIM_ROUNDS):
            places = queue.ask(lambda rows: rows.choose(count, lambda needs: rules.fits(needs, profile)))
            found = []
            for place in places:
                item = queue.read(place)
                if item is not None and self._may_run(item, profile):
                    found.append(item)
                elif item is not None:
                    queue.refresh(item)
            if len(found) == len(places):
                break
        return found

    def _may_run(self, item: Item, profile: Mapping[str, Any] | None) -> bool:
        now = self._clock.now()
        return rules.is_due(item, now) and not rules.is_expired(item, now) and rules.fits(item.needs, profile)

    async def renew(self, item: str, token: str, lease_seconds: float) -> Item:
        check_lease_seconds(lease_seconds)
        now = self._clock.now
        return await self._with_token(item, token, lambda i, lease: rules.renewed(i, lease, now(), lease_seconds))

    async def complete(self, item: str, token: str, result: Mapping[str, Any]) -> Item:
        return await _off_loop(self._complete, item, token, result)

    def _complete(self, item: str, token: str, result: Mapping[str, Any]) -> Item:
        check_content(result, "result")

        def complete(found: Item) -> Item:
            if rules.is_repeat(found, token, result):
                return found
            rules.check_token(found, token)
            return rules.completed(found, result, self._clock.now())

        return self._change(item, complete)

    async def fail(self, item: str, token: str, error: str, retry_in_seconds: float | None = None) -> Item:
        check_failure(retry_in_seconds)
        now = self._clock.now
        return await self._with_token(item, token, lambda i, _: rules.failed(i, error, now(), retry_in_seconds))

    async def release(self, item: str, token: str, hold: str | None = None) -> Item:
        return await self._with_token(item, token, lambda i, _: rules.released(i, hold))

    async def _with_token(self, item: str, token: str, change: Callable[[Item, Lease], Item]) -> Item:
        def checked(found: Item) -> Item:
            return change(found, rules.check_token(found, token))

        return await _off_loop(self._change, item, checked)

    async def cancel(self, item: str, reason: str = "cancelled") -> Item:
        now = self._clock.now

        def cancel(found: Item) -> Item:
            return found if found.state == "cancelled" else rules.cancelled(found, reason, now())

        return await _off_loop(self._change, item, cancel, settled=True)

    async def prioritize(self, item: str, priority: int) -> Item:
        check_priority(priority)

        def prioritize(found: Item) -> Item:
            return rules.prioritized(found, priority)

        return await _off_loop(self._change, item, prioritize, settled=True)

    async def retry(self, item: str) -> Item:
        return await _off_loop(self._change, item, rules.retried, settled=True)

    def _change(self, item: str, change: Callable[[Item], Item], *, settled: bool = False) -> Item:
        def work(queue: LockedQueue, found: Item) -> Item:
            changed = change(found)
            if changed is not found:
                queue.change([(found.state, changed)])
            return changed

        return self._at(item, work, settled=settled)

    async def drain(self, queue: str, reason: str, count: int = 500) -> Sequence[Item]:
        return await _off_loop(self._drain, queue, reason, count)

    def _drain(self, name: str, reason: str, count: int) -> Sequence[Item]:
        now = self._clock.now()
        with self._locked(check_queue(name)) as queue:
            places = queue.ask(lambda rows: rows.waiting(max(1, min(count, MAX_DRAIN))))
            found = [item for place in places if (item := queue.read(place)) is not None]
            changed = [rules.cancelled(item, reason, now) for item in found]
            if changed:
                queue.change([(before.state, item) for before, item in zip(found, changed, strict=True)])
        return changed

    # Looking

    async def settle(self, queue: str | None = None) -> Sequence[Item]:
        await _off_loop(self._settle, queue)
        return self.settled()

    def settled(self) -> Sequence[Item]:
        found: _Found = []
        while self._settled:
            found.append(self._settled.popleft())
        return found

    def _settle(self, queue: str | None) -> Sequence[Item]:
        changed: _Found = []
        for name in self._names() if queue is None else [check_queue(queue)]:
            with self._locked(name) as locked:
                changed += locked.settle_all()
        self._settled += changed
        return changed

    async def get(self, item: str) -> Item:
        return await _off_loop(self._change, item, _unchanged, settled=True)

    async def explain(self, item: str) -> tuple[Item, Sequence[Hold]]:
        def explain(queue: LockedQueue, found: Item) -> tuple[Item, Sequence[Hold]]:
            now = self._clock.now()
            return found, queue.ask(lambda rows: why_waiting(found, rows, now))

        return await _off_loop(self._at, item, explain, settled=True)

    async def list(
        self,
        queue: str | None = None,
        state: ItemState | None = None,
        *,
        creator: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> tuple[Sequence[Item], str | None]:
        return await _off_loop(self._list, queue, state, creator, limit, cursor)

    def _list(
        self, queue: str | None, state: ItemState | None, creator: str | None, limit: int, cursor: str | None
    ) -> tuple[Sequence[Item], str | None]:
        self._settle(queue)
        return page(self._vault, self._projection, queue, state, creator, max(1, limit), cursor or PAGE_END)

    async def counts(self, queue: str | None = None, creator: str | None = None) -> Mapping[ItemState, int]:
        return await _off_loop(self._counts, queue, creator)

    def _counts(self, queue: str | None, creator: str | None) -> Mapping[ItemState, int]:
        self._settle(queue)
        values = {"queue": queue, "creator": creator}
        rows = self._projection.read(lambda connection: connection.execute(statement("counts"), values).fetchall())
        return {row["state"]: row["number"] for row in rows}

    async def problems(self, queue: str | None = None) -> Sequence[Item]:
        return await _off_loop(self._problems, queue)

    def _problems(self, queue: str | None) -> Sequence[Item]:
        found: _Found = []
        for name in self._names() if queue is None else [check_queue(queue)]:
            with self._locked(name) as locked:
                found += locked.problems()
        return found

    async def queues(self) -> Sequence[str]:
        return await _off_loop(self._names)

    # Places

    def _locked(self, queue: str) -> AbstractContextManager[LockedQueue]:
        return LockedQueue(self._vault, self._projection, self._clock, self._ids, queue).locked()

    def _names(self) -> Sequence[str]:
        return self._vault.folders(ROOT)

    def _at(self, item: str, work: Callable[[LockedQueue, Item], T], *, settled: bool = False) -> T:
        """What *work* makes of *item* under its queue's lock. Raises NotFound, Corrupted."""
        if not is_sound(item) or len(item) > 120:
            raise InvalidArgument("not the id of an item", hint="queue_inspect shows the ids")
        for name in self._likely(item):
            with self._locked(name) as queue:
                if settled:
                    self._settled += queue.settle_all()
                found = queue.find(item)
                if found is not None:
                    return work(queue, found)
        raise NotFound(f"there is no item {item!r}", hint="queue_inspect shows the items")

    def _likely(self, item: str) -> Sequence[str]:
        """The queues to look into: the one that is known to hold *item* first."""
        row = self._projection.read(lambda c: c.execute(statement("queue_of"), {"id": item}).fetchone())
        known = [row["queue"]] if row is not None else []
        return [*known, *(name for name in self._names() if name not in known)]


def _unchanged(item: Item) -> Item:
    return item


async def _off_loop(work: Callable[..., T], *arguments: Any, **more: Any) -> T:
    return await to_thread.run_sync(partial(work, *arguments, **more))
