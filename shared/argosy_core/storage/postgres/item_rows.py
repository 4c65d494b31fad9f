"""Items as rows. A row's record is the item's file; a claim leaves it as it is and stands beside it, so that claiming
writes no payload and needs no rule in SQL: who reads the row applies the rule of the claim.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from argosy_core.canonical import canonical_json
from argosy_core.errors import Corrupted
from argosy_core.storage import item_rules as rules
from argosy_core.storage.item import Item, ItemState
from argosy_core.storage.item_record import read_item, text_of, unreadable
from argosy_core.storage.postgres.database import Row, Session

NO_KEYS = "[]"
SETTLED_AT_ONCE = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class QueueRows:
    """The rows of *queue* in a transaction that holds the queue's lock: nobody else parks, wakes or frees keys.

    Enqueueing, claiming and completing items without conflict keys needs no lock, and goes on beside.
    """

    def __init__(self, session: Session, queue: str, now: datetime) -> None:
        self.queue = queue
        self.now = now
        self._session = session

    async def lock(self) -> None:
        """Take the queue's lock until the transaction ends."""
        await self._session.rows("lock", queue=self.queue)

    async def _run(self, name: str, **values: Any) -> list[Row]:
        return await self._session.rows(name, queue=self.queue, **values)

    async def row(self, id: str) -> Row | None:
        """The row of *id*, locked."""
        return next(iter(await self._run("locked", id=id)), None)

    # Keeping

    async def put(self, item: Item, record: bytes | None = None, before: Row | None = None) -> None:
        """Write *item*, in place of *before*, and let those go on that waited for a key it held.

        *record* is the item's file when that is given; else it is made.
        """
        await self._session.rows("put", **columns(item, self.now, record), seq=item.seq)
        await self._keep_keys(item, json.loads(before["keys"]) if before is not None else ())

    async def _keep_keys(self, item: Item, before: Sequence[str]) -> None:
        if not item.conflict_keys and not before:
            return
        await self._run("free_keys", id=item.id)
        keys = [plain(key) for key in item.conflict_keys]
        for key in keys if item.state == "leased" else ():
            await self._run("hold_key", key=key, id=item.id)
        if keys and lane_of(item, self.now) == 1:
            await self.park(item.id, keys)
        await self._wake(before)

    async def park(self, id: str, keys: Sequence[str], taken: Collection[str] = ()) -> bool:
        """Set an item aside when one of its keys is held; its other keys are then the next one's to have."""
        holders = await self.holders(keys)
        blocked = next((key for key in keys if key in taken or holders.get(key, id) != id), None)
        if blocked is None:
            return False
        await self._run("park", id=id, key=blocked)
        await self._wake([key for key in keys if key != blocked and key not in taken])
        return True

    async def _wake(self, keys: Sequence[str]) -> None:
        holders = await self.holders(keys)
        for key in keys:
            if key not in holders:
                await self._run("wake_parked", key=key)

    async def holders(self, keys: Sequence[str]) -> dict[str, str]:
        """The leased items that hold *keys*."""
        return {row["key"]: row["id"] for row in await self._run("holders", keys=list(keys))} if keys else {}

    # Choosing

    async def choose(self, count: int, fits: Callable[[Mapping[str, Any]], bool]) -> list[Row]:
        """Up to *count* claimable rows that *fits* takes, locked, the next one first."""
        await self._run("wake_timed", now=self.now)
        shapes = [row["needs"] for row in await self._run("shapes") if fits(json.loads(row["needs"]))]
        chosen: list[Row] = []
        taken: set[str] = set()
        while len(chosen) < count and (found := await self._run("next", shapes=shapes, count=count - len(chosen))):
            for row in found:
                keys: list[str] = json.loads(row["keys"])
                if keys and await self.park(row["id"], keys, taken):
                    break  # whom that woke may come before the others
                taken.update(keys)
                await self._run("set_lane", id=row["id"], lane=0)
                chosen.append(row)
        return chosen

    async def settle(self) -> list[Item]:
        """Put right what time did: ended leases and expired items."""
        found: list[Item] = []
        for name, is_over, rule in (
            ("abandoned", rules.is_abandoned, rules.abandoned),
            ("expired", rules.is_expired, rules.expired),
        ):
            while rows := await self._run(name, now=self.now, count=SETTLED_AT_ONCE):
                for row in rows:
                    item = item_of(row)
                    if is_over(item, self.now):
                        found.append(rule(item, self.now))
                        await self.put(found[-1], before=row)
                    else:
                        await self.put(item, bytes(row["record"]), row)  # a row that says other than its record
        return found

    async def waiting(self, count: int) -> list[Row]:
        """Up to *count* rows that nobody works on."""
        return await self._run("waiting", count=count)

    async def ahead(self, item: Item) -> int:
        """How many claimable items come before *item*."""
        return int((await self._run("ahead", priority=item.priority, seq=item.seq))[0]["number"])


def item_of(row: Row) -> Item:
    """The item of a row. Raises Corrupted."""
    claim = row["token"]
    state: ItemState = "ready" if claim is not None else row["state"]
    item = read_item(row["queue"], state, row["id"], bytes(row["record"]))
    if not item.seq:
        item = replace(item, seq=row["seq"], created_at=item.created_at or row["created"])
    if claim is None:
        return item
    return rules.claimed(item, row["holder"], claim, row["claimed_at"], row["lease_seconds"])


def listed(row: Row) -> Item:
    """As `item_of`; one that cannot be read has its problem set."""
    try:
        return item_of(row)
    except Corrupted as error:
        return unreadable(row["queue"], row["state"], row["id"], error.message)


def file_of(row: Row) -> bytes:
    """The item as a file: the very bytes that were put in, as long as nothing changed it."""
    return bytes(row["record"]) if row["is_exact"] else text_of(item_of(row))


def columns(item: Item, now: datetime, record: bytes | None = None) -> dict[str, Any]:
    """What stands beside the record, so that it can be asked for."""
    lease_end = None
    if item.state == "leased" and item.problem is None:
        lease_end = item.lease.expires_at if item.lease else _EPOCH
    return {
        "id": item.id,
        "queue": item.queue,
        "state": item.state,
        "revision": item.revision,
        "priority": item.priority,
        "lane": lane_of(item, now),
        "needs": plain(canonical_json(item.needs).decode()),
        "keys": json.dumps([plain(key) for key in item.conflict_keys], ensure_ascii=False),
        "creator": plain(item.creator) if item.creator is not None else None,
        "created": item.created_at or _EPOCH,
        "wake": item.not_before,
        "expires": item.expires_at,
        "lease_end": lease_end,
        "problem": plain(item.problem) if item.problem is not None else None,
        "is_exact": record is not None or item.seq > 0,
        "record": record if record is not None else text_of(item),
    }


def lane_of(item: Item, now: datetime) -> int:
    """0 not to be had, 1 claimable, 2 waits for its time."""
    if item.problem is not None or item.state not in ("ready", "failed"):
        return 0
    return 2 if item.not_before is not None and item.not_before > now else 1


def plain(text: str) -> str:
    """*text* as a column may hold it; what it cannot hold is only in the record."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
