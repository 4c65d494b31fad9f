"""The calls of `Items` as they are over every substrate: which rules apply, to a queue that nobody else changes."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from argosy_core.clock import Clock
from argosy_core.errors import InvalidArgument, NotFound
from argosy_core.ids import Ids
from argosy_core.names import is_sound
from argosy_core.storage import item_rules as rules
from argosy_core.storage.item import Hold, Item, ItemState, NewItem
from argosy_core.storage.item_checks import check_claim, check_new, check_queue
from argosy_core.storage.item_order import Place, Rows
from argosy_core.storage.item_pages import PAGE_END, page
from argosy_core.storage.item_reasons import why_waiting

T = TypeVar("T")
MAX_DRAIN = 1000
MAX_ID_CHARS = 120
SETTLED_AT_ONCE = 100
CLAIM_ROUNDS = 8  # how often a claim chooses again after items turned out to be other than their rows
Change = tuple[ItemState | None, Item]
"""What an item becomes, and the state it was in; None for a new one."""


class OpenQueue(ABC):
    """Queue *name* while nobody else changes it; every change of it goes through `change`."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self._clock = clock

    @abstractmethod
    def ask(self, question: Callable[[Rows], T]) -> T:
        """What *question* finds in the rows; it may change lanes."""

    @abstractmethod
    def change(self, changes: Sequence[Change]) -> None:
        """Make *changes* durable."""

    @abstractmethod
    def find(self, id: str) -> Item | None:
        """The item *id*; None when this queue has none. Raises Corrupted."""

    @abstractmethod
    def find_made(self, id: str) -> Item | None:
        """As `find`, and sure of it: a key must not be taken for new by any mistake."""

    @abstractmethod
    def read(self, place: Place) -> Item | None:
        """The item at *place*; None when it is gone or cannot be read, which its row then says."""

    @abstractmethod
    def refresh(self, item: Item) -> None:
        """Make the row of *item* what the item says."""

    @abstractmethod
    def problems(self) -> Sequence[Item]:
        """What cannot be read."""

    def settle(self, count: int = SETTLED_AT_ONCE) -> Sequence[Item]:
        """Put right what time did to about *count* items: ended leases and expired items."""
        now = self._clock.now()
        changes: list[Change] = []
        for place in self.ask(lambda rows: [*rows.abandoned(count), *rows.expired(count)]):
            item = self.read(place)
            if item is not None and rules.is_abandoned(item, now):
                changes.append((item.state, rules.abandoned(item, now)))
            elif item is not None and rules.is_expired(item, now):
                changes.append((item.state, rules.expired(item, now)))
            elif item is not None:
                self.refresh(item)
        if changes:
            self.change(changes)
        return [item for _, item in changes]

    def settle_all(self) -> Sequence[Item]:
        """As `settle`, until nothing is left to do."""
        found: list[Item] = []
        while batch := self.settle():
            found += batch
        return found


class ItemSession(ABC):
    """One call's look at the queues; it blocks. *settled* is what it put right by the way."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self.settled: list[Item] = []
        self._clock = clock
        self._ids = ids

    @abstractmethod
    def queue(self, name: str) -> AbstractContextManager[OpenQueue]:
        """Hold *name* against everybody else while the block runs."""

    @abstractmethod
    def names(self) -> Sequence[str]:
        """The queues that are there, sorted."""

    @abstractmethod
    def rows_of(self, name: str, values: Mapping[str, Any]) -> Sequence[sqlite3.Row]:
        """What the statement *name* of ``item_queries.sql`` finds."""

    @abstractmethod
    def load(self, row: sqlite3.Row) -> Item | None:
        """The item of a row of a page; None when it is gone, one with its *problem* set when it cannot be read."""

    # Work

    def enqueue(self, new: NewItem) -> tuple[Item, bool]:
        check_new(new)
        now = self._clock.now()
        id = rules.item_id(new, now, self._ids)
        with self.queue(new.queue) as queue:
            known = queue.find_made(id) if new.key is not None else None
            if known is not None:
                rules.check_same(known, new)
                return known, True
            item = rules.new_item(new, id, now, queue.ask(lambda rows: rows.next_seq()))
            queue.change([(None, item)])
        return item, False

    def claim(
        self, name: str, worker: str, lease_seconds: float, count: int, profile: Mapping[str, Any] | None
    ) -> Sequence[Item]:
        check_claim(name, worker, lease_seconds, count)
        now = self._clock.now()
        with self.queue(name) as queue:
            self.settled += queue.settle()
            found = self._choose(queue, count, profile)
            token = self._ids.random
            claimed = [rules.claimed(item, worker, token(16).hex(), now, lease_seconds) for item in found]
            if claimed:
                queue.change([(before.state, item) for before, item in zip(found, claimed, strict=True)])
        return claimed

    def _choose(self, queue: OpenQueue, count: int, profile: Mapping[str, Any] | None) -> Sequence[Item]:
        """The next items as they are stored; when one is other than its row, the row is mended and we look again."""
        found: list[Item] = []
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

    def change(self, item: str, change: Callable[[Item], Item], *, settled: bool = False) -> Item:
        """Make of *item* what *change* gives, durably; with *settled* time is put right first."""

        def work(queue: OpenQueue, found: Item) -> Item:
            changed = change(found)
            if changed is not found:
                queue.change([(found.state, changed)])
            return changed

        return self._at(item, work, settled=settled)

    def drain(self, name: str, reason: str, count: int) -> Sequence[Item]:
        now = self._clock.now()
        with self.queue(check_queue(name)) as queue:
            places = queue.ask(lambda rows: rows.waiting(max(1, min(count, MAX_DRAIN))))
            found = [item for place in places if (item := queue.read(place)) is not None]
            changed = [rules.cancelled(item, reason, now) for item in found]
            if changed:
                queue.change([(before.state, item) for before, item in zip(found, changed, strict=True)])
        return changed

    # Looking

    def settle(self, queue: str | None) -> None:
        for name in self._named(queue):
            with self.queue(name) as found:
                self.settled += found.settle_all()

    def explain(self, item: str) -> tuple[Item, Sequence[Hold]]:
        def explain(queue: OpenQueue, found: Item) -> tuple[Item, Sequence[Hold]]:
            now = self._clock.now()
            return found, queue.ask(lambda rows: why_waiting(found, rows, now))

        return self._at(item, explain, settled=True)

    def list(
        self, queue: str | None, state: ItemState | None, creator: str | None, limit: int, cursor: str | None
    ) -> tuple[Sequence[Item], str | None]:
        self.settle(queue)
        return page(self.rows_of, self.load, queue, state, creator, max(1, limit), cursor or PAGE_END)

    def counts(self, queue: str | None, creator: str | None) -> Mapping[ItemState, int]:
        self.settle(queue)
        alone = "counts_of_queue" if queue is not None else "counts_of_all"  # both from one index
        name = alone if creator is None else "counts"
        rows = self.rows_of(name, {"queue": queue, "creator": creator})
        return {row["state"]: row["number"] for row in rows}

    def problems(self, queue: str | None) -> Sequence[Item]:
        found: list[Item] = []
        for name in self._named(queue):
            with self.queue(name) as opened:
                found += opened.problems()
        return found

    # Places

    def _named(self, queue: str | None) -> Sequence[str]:
        return self.names() if queue is None else [check_queue(queue)]

    def _at(self, item: str, work: Callable[[OpenQueue, Item], T], *, settled: bool = False) -> T:
        """What *work* makes of *item* while its queue is held. Raises NotFound, Corrupted."""
        if not is_sound(item) or len(item) > MAX_ID_CHARS:
            raise InvalidArgument("not the id of an item", hint="queue_inspect shows the ids")
        for name in self.likely(item):
            with self.queue(name) as queue:
                if settled:
                    self.settled += queue.settle_all()
                found = queue.find(item)
                if found is not None:
                    return work(queue, found)
        raise NotFound(f"there is no item {item!r}", hint="queue_inspect shows the items")

    def likely(self, item: str) -> Sequence[str]:
        """The queues to look into: the one that is known to hold *item* first."""
        known = [row["queue"] for row in self.rows_of("queue_of", {"id": item})]
        return [*known, *(name for name in self.names() if name not in known)]
