"""Items in a table. What is asked most, items without conflict keys, goes by one statement without any lock; all else
by a transaction under the queue's lock. The rules are those of `item_rules`, and all in Python."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from argosy_core.clock import Clock
from argosy_core.errors import Conflict, InvalidArgument, NotFound
from argosy_core.ids import Ids
from argosy_core.names import is_sound
from argosy_core.storage import item_rules as rules
from argosy_core.storage.gathering import Pending
from argosy_core.storage.item import ITEM_STATES, Hold, Item, ItemState, Lease, NewItem
from argosy_core.storage.item_calls import told_once
from argosy_core.storage.item_checks import (
    check_claim,
    check_content,
    check_failure,
    check_lease_seconds,
    check_new,
    check_priority,
    check_queue,
)
from argosy_core.storage.item_reasons import why_waiting
from argosy_core.storage.item_record import unreadable
from argosy_core.storage.postgres.batches import Batches
from argosy_core.storage.postgres.database import Database, Row, Session
from argosy_core.storage.postgres.item_batches import (
    FILE,
    Claim,
    Completion,
    Enqueue,
    complete_batch,
    enqueue_batch,
)
from argosy_core.storage.postgres.item_claims import LANES, MOST_TOGETHER, Claims
from argosy_core.storage.postgres.item_rows import QueueRows, item_of, listed

T = TypeVar("T")
Step = Callable[[QueueRows, Row, Item], Awaitable[T]]
_Found = list[Item]  # in the class, `list` is its method
MAX_DRAIN = 1000
MAX_ID_CHARS = 120
SETTLED_KEPT = 10_000
_LAST = datetime(9999, 12, 31, tzinfo=UTC)


class PostgresItems:
    """`Items` over a database."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._settled: deque[Item] = deque(maxlen=SETTLED_KEPT)
        self._claims = Claims(database, clock, self._settled)
        self._enqueues = Batches[Enqueue](partial(enqueue_batch, database), MOST_TOGETHER, LANES)
        self._completions = Batches[Completion](partial(complete_batch, database), MOST_TOGETHER, LANES)

    # Work

    async def enqueue(self, new: NewItem) -> tuple[Item, bool]:
        check_new(new)
        now = self._clock.now()
        item = rules.new_item(new, rules.item_id(new, now, self._ids), now, 0)
        if item.conflict_keys:
            return await self._enqueue_alone(new, item)
        piece = Enqueue(new, item)
        await self._database.background.call(lambda: self._enqueues.submit(piece))
        return piece.result()

    async def _enqueue_alone(self, new: NewItem, item: Item) -> tuple[Item, bool]:
        async def enqueue(session: Session, again: bool) -> tuple[Item, bool]:
            async with session.transaction():
                rows = QueueRows(session, new.queue, self._clock.now())
                await rows.lock()
                row = await rows.row(item.id)
                if row is None:
                    await rows.put(item)
                    row = await rows.row(item.id)
                    return item_of(row), False
                known = item_of(row)
                if again and known.created_at == item.created_at:
                    return known, False
                rules.check_same(known, new)
                return known, True

        return await self._database.call(FILE, enqueue)

    async def claim(
        self, queue: str, worker: str, lease_seconds: float, count: int = 1, profile: Mapping[str, Any] | None = None
    ) -> Sequence[Item]:
        check_claim(queue, worker, lease_seconds, count)
        piece = Claim(queue, worker, lease_seconds, [self._ids.random(16).hex() for _ in range(count)])
        return await self._database.background.call(lambda: self._claims.claim(piece, profile))

    async def renew(self, item: str, token: str, lease_seconds: float) -> Item:
        check_lease_seconds(lease_seconds)

        def renew(found: Item, lease: Lease) -> Item:
            return rules.renewed(found, lease, self._clock.now(), lease_seconds)

        return await self._with_token(item, token, renew)

    async def complete(self, item: str, token: str, result: Mapping[str, Any]) -> Item:
        check_content(result, "result")
        return await self._database.background.call(lambda: self._complete(item, token, result))

    async def _complete(self, id: str, token: str, result: Mapping[str, Any]) -> Item:
        claim = self._claims.forget(id)
        if claim is not None and claim.lease and claim.lease.token == token and not claim.conflict_keys:
            piece = Completion(claim, rules.completed(claim, result, self._clock.now()))
            await self._completions.submit(piece)
            if piece.result():
                return piece.done

        def complete(found: Item) -> Item:
            return rules.completed_with(found, token, result, self._clock.now())

        return await self._change_on_loop(id, complete)

    async def fail(self, item: str, token: str, error: str, retry_in_seconds: float | None = None) -> Item:
        check_failure(retry_in_seconds)

        def fail(found: Item, _: Lease) -> Item:
            return rules.failed(found, error, self._clock.now(), retry_in_seconds)

        return await self._with_token(item, token, fail)

    async def release(self, item: str, token: str, hold: str | None = None) -> Item:
        return await self._with_token(item, token, lambda found, _: rules.released(found, hold))

    async def _with_token(self, item: str, token: str, change: Callable[[Item, Lease], Item]) -> Item:
        return await self._change(item, lambda found: change(found, rules.check_token(found, token)))

    async def cancel(self, item: str, reason: str = "cancelled") -> Item:
        def cancel(found: Item) -> Item:
            return found if found.state == "cancelled" else rules.cancelled(found, reason, self._clock.now())

        return await self._change(item, cancel, settled=True)

    async def prioritize(self, item: str, priority: int) -> Item:
        check_priority(priority)
        return await self._change(item, lambda found: rules.prioritized(found, priority), settled=True)

    async def retry(self, item: str) -> Item:
        return await self._change(item, rules.retried, settled=True)

    async def drain(self, queue: str, reason: str, count: int = 500) -> Sequence[Item]:
        check_queue(queue)
        now = self._clock.now()

        async def drain(session: Session, _: bool) -> Sequence[Item]:
            async with session.transaction():
                rows = QueueRows(session, queue, now)
                await rows.lock()
                changed: _Found = []
                for row in await rows.waiting(max(1, min(count, MAX_DRAIN))):
                    changed.append(rules.cancelled(item_of(row), reason, now))
                    await rows.put(changed[-1], before=row)
            return changed

        return await self._database.call(FILE, drain)

    # Changing one

    async def _change(self, item: str, change: Callable[[Item], Item], *, settled: bool = False) -> Item:
        return await self._database.background.call(lambda: self._change_on_loop(item, change, settled=settled))

    async def _change_on_loop(self, id: str, change: Callable[[Item], Item], *, settled: bool = False) -> Item:
        _check_id(id)
        self._claims.forget(id)
        made: _Found = []

        async def step(rows: QueueRows, row: Row, found: Item) -> Item:
            if made and found == made[-1]:
                return found  # an earlier try was cut off after it had been done
            changed = change(found)
            made.append(changed)
            if changed is not found:
                await rows.put(changed, before=row)
            return changed

        return await self._database.run(FILE, lambda session, _: self._at(session, id, step, settled=settled))

    async def _at(self, session: Session, id: str, step: Step[T], *, settled: bool) -> T:
        """What *step* makes of item *id* under its queue's lock. Raises NotFound, Corrupted.

        A step that refuses (Conflict) has changed nothing, but what time did is put right.
        """
        for place in await session.rows("places", id=id):
            outcome = Pending[T]()
            async with session.transaction():
                rows = QueueRows(session, place["queue"], self._clock.now())
                await rows.lock()
                ended = await rows.settle() if settled else []
                row = await rows.row(id)
                if row is None:
                    continue
                try:
                    outcome.finish(await step(rows, row, item_of(row)))
                except Conflict as error:
                    outcome.fail(error)
            self._settled += ended
            return outcome.result()
        raise NotFound(f"there is no item {id!r}", hint="queue_inspect shows the items")

    # Looking

    async def settle(self, queue: str | None = None) -> Sequence[Item]:
        await self._database.call(FILE, lambda session, _: self._settle(session, queue))
        return self.settled()

    def settled(self) -> Sequence[Item]:
        return told_once(self._settled)

    async def _settle(self, session: Session, queue: str | None) -> Sequence[str]:
        """Put right what time did to *queue*, or to all; their names."""
        names = await _queues(session) if queue is None else [check_queue(queue)]
        for row in await session.rows("due_queues", queues=names, now=self._clock.now()):
            async with session.transaction():
                rows = QueueRows(session, row["queue"], self._clock.now())
                await rows.lock()
                ended = await rows.settle()
            self._settled += ended
        return names

    async def get(self, item: str) -> Item:
        _check_id(item)

        async def get(session: Session, _: bool) -> Item:
            row = await session.row("item", id=item, now=self._clock.now())
            if row is not None and not row["is_due"]:
                return item_of(row)
            return await self._at(session, item, _as_it_is, settled=True)

        return await self._database.call(FILE, get)

    async def explain(self, item: str) -> tuple[Item, Sequence[Hold]]:
        _check_id(item)

        async def step(rows: QueueRows, _: Row, found: Item) -> tuple[Item, Sequence[Hold]]:
            others = _Others(await rows.holders(found.conflict_keys), await rows.ahead(found))
            return found, why_waiting(found, others, rows.now)

        return await self._database.call(FILE, lambda session, _: self._at(session, item, step, settled=True))

    async def list(
        self,
        queue: str | None = None,
        state: ItemState | None = None,
        *,
        creator: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> tuple[Sequence[Item], str | None]:
        created, id = _position(cursor)
        most = max(1, limit)

        async def look(session: Session, _: bool) -> tuple[Sequence[Item], str | None]:
            values: dict[str, Any] = {
                "queues": await self._settle(session, queue),
                "states": [state] if state is not None else list(ITEM_STATES),
                "created": created,
                "id": id,
                "count": most + 1,
            }
            if creator is not None:
                rows = await session.rows("page_of_creator", creator=creator, **values)
            else:
                rows = await session.rows("page", **values)
            last = rows[most - 1] if len(rows) > most else None
            following = json.dumps([last["created"].isoformat(), last["id"]]) if last is not None else None
            return [listed(row) for row in rows[:most]], following

        return await self._database.call(FILE, look)

    async def counts(self, queue: str | None = None, creator: str | None = None) -> Mapping[ItemState, int]:
        async def look(session: Session, _: bool) -> Mapping[ItemState, int]:
            await self._settle(session, queue)
            return {r["state"]: r["number"] for r in await session.rows("counts", queue=queue, creator=creator)}

        return await self._database.call(FILE, look)

    async def problems(self, queue: str | None = None) -> Sequence[Item]:
        async def look(session: Session, _: bool) -> Sequence[Item]:
            names = await _queues(session) if queue is None else [check_queue(queue)]
            found = [row for name in names for row in await session.rows("broken", queue=name)]
            return [unreadable(row["queue"], row["state"], row["id"], row["problem"]) for row in found]

        return await self._database.call(FILE, look)

    async def queues(self) -> Sequence[str]:
        return await self._database.call(FILE, lambda session, _: _queues(session))


class _Others:
    """What was read of the other items."""

    def __init__(self, holders: Mapping[str, str], ahead: int) -> None:
        self._holders = holders
        self._ahead = ahead

    def holder(self, key: str) -> str | None:
        return self._holders.get(key)

    def ahead(self, item: Item) -> int:
        return self._ahead


async def _as_it_is(rows: QueueRows, row: Row, found: Item) -> Item:
    return found


async def _queues(session: Session) -> list[str]:
    return [row["queue"] for row in await session.rows("queues")]


def _check_id(item: str) -> None:
    if not is_sound(item) or len(item) > MAX_ID_CHARS:
        raise InvalidArgument("not the id of an item", hint="queue_inspect shows the ids")


def _position(cursor: str | None) -> tuple[datetime, str]:
    if cursor is None:
        return _LAST, ""
    try:
        created, id = json.loads(cursor)
        moment = datetime.fromisoformat(created)
        return moment.astimezone(UTC), str(id).replace("\0", "")
    except (ValueError, TypeError) as exc:
        raise InvalidArgument("not a cursor of this list", hint="pass the cursor unchanged, or leave it out") from exc
