"""The work queue as a protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from argosy_core.storage.item import Hold, Item, ItemState, NewItem


class Items(Protocol):
    """A durable work queue: each item completes once, or ends dead, cancelled or expired with its reason.

    A change is durable when the call returns. A lease that ended gives its item back, or ends it dead when its attempts
    are used up; that and the end of expired items is put right by every call that looks at a whole queue or reads an
    item, and by `settle`. Until then the holder of the newest token may still complete: clocks decide when to try,
    generations who wins.
    """

    async def enqueue(self, new: NewItem) -> tuple[Item, bool]:
        """Add an item; with a key used before in the queue, the earlier item and True, also when it has ended.

        Raises Conflict (the key was used for another payload), TooLarge (payload above 256 KiB), InvalidArgument.
        """
        ...

    async def claim(
        self, queue: str, worker: str, lease_seconds: float, count: int = 1, profile: Mapping[str, Any] | None = None
    ) -> Sequence[Item]:
        """Take up to *count* items that are due and fit *profile*, highest priority first, then oldest."""
        ...

    async def renew(self, item: str, token: str, lease_seconds: float) -> Item:
        """Move the end of a claim. Raises Conflict for the token of an older claim, NotFound."""
        ...

    async def complete(self, item: str, token: str, result: Mapping[str, Any]) -> Item:
        """End an item as done. Raises Conflict for the token of an older claim, TooLarge, NotFound.

        Completing again with the same token and result gives the item as it is.
        """
        ...

    async def fail(self, item: str, token: str, error: str, retry_in_seconds: float | None = None) -> Item:
        """Give an item back for another attempt after a pause, or end it dead when none is left."""
        ...

    async def release(self, item: str, token: str, hold: str | None = None) -> Item:
        """Give an item back without counting the attempt; with *hold* it waits under that reason."""
        ...

    async def cancel(self, item: str, reason: str = "cancelled") -> Item:
        """End an item that nobody works on. Raises Conflict when somebody does or it has ended otherwise."""
        ...

    async def prioritize(self, item: str, priority: int) -> Item:
        """Change the priority of an item that waits. Raises Conflict when it is leased or has ended."""
        ...

    async def retry(self, item: str) -> Item:
        """Make a dead item ready with all its attempts; a held or failed one is ready at once. Raises Conflict."""
        ...

    async def drain(self, queue: str, reason: str, count: int = 500) -> Sequence[Item]:
        """Cancel up to *count* items of *queue* that nobody works on, and return them; call again until none comes."""
        ...

    async def settle(self, queue: str | None = None) -> Sequence[Item]:
        """Put right what time did and return what changed: leases that ended, items that expired."""
        ...

    def settled(self) -> Sequence[Item]:
        """What this handle's calls put right by the way since this was last asked: each change is told once."""
        ...

    async def get(self, item: str) -> Item:
        """One item. Raises NotFound, Corrupted."""
        ...

    async def explain(self, item: str) -> tuple[Item, Sequence[Hold]]:
        """The item and every reason why it is not running; none when the next claim takes it."""
        ...

    async def list(
        self,
        queue: str | None = None,
        state: ItemState | None = None,
        *,
        creator: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> tuple[Sequence[Item], str | None]:
        """A page of items, newest first, and the cursor of the next. One that cannot be read has its *problem* set."""
        ...

    async def problems(self, queue: str | None = None) -> Sequence[Item]:
        """Items that cannot be read, each with its *problem*; this looks at everything that is stored."""
        ...

    async def counts(self, queue: str | None = None, creator: str | None = None) -> Mapping[ItemState, int]:
        """How many items are in each state."""
        ...

    async def queues(self) -> Sequence[str]:
        """Names of the queues, sorted."""
        ...
