"""Items in a table. What is asked most, items without conflict keys, goes by one statement without any lock; all else
by a transaction under the queue's lock. The rules are those of `item_rules`, and all in Python."""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from argosy_core.canonical import canonical_json
from argosy_core.clock import Clock
from argosy_core.errors import InvalidArgument, NotFound
from argosy_core.ids import Ids
from argosy_core.names import is_sound
from argosy_core.storage import item_rules as rules
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
    claim_batch,
    complete_batch,
    enqueue_batch,
)
from argosy_core.storage.postgres.item_rows import QueueRows, item_of, listed

T = TypeVar("T")
Step = Callable[[QueueRows, Row, Item], Awaitable[T]]
_Found = list[Item]  # in the class, `list` is its method
MAX_DRAIN = 1000
MAX_ID_CHARS = 120
MOST_TOGETHER = 200
SETTLED_KEPT = 10_000
CLAIMS_KEPT = 2_000  # claimed items that are remembered, so that completing one need not read it
SHAPES_KEPT = 1_000
NO_NEEDS = "{}"
_LAST = datetime(9999, 12, 31, tzinfo=UTC)


class PostgresItems:
    """`Items` over a database."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._settled: deque[Item] = deque(maxlen=SETTLED_KEPT)
        # These are touched on the database's loop only.
        self._claims: OrderedDict[str, Item] = OrderedDict()
        self._shapes: dict[str, set[str]] = {}  # what items of a queue need, as far as it was seen
        self._queues: dict[str, Batches[Claim]] = {}
        self._enqueues = Batches[Enqueue](partial(enqueue_batch, database), MOST_TOGETHER)
        self._completions = Batches[Completion](partial(complete_batch, database), MOST_TOGETHER)

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
        return await self._database.background.call(lambda: self._claim(piece, profile))

    async def _claim(self, piece: Claim, profile: Mapping[str, Any] | None) -> Sequence[Item]:
        known = self._shapes.get(piece.queue, {NO_NEEDS})
        fitting = [needs for needs in known if rules.fits(json.loads(needs), profile)]
        found: Sequence[Item] | None = None
        if len(fitting) == 1:
            piece.needs = fitting[0]
            found = await self._claim_together(piece)
        if found is None:
            found = await self._claim_alone(piece, profile)
        for item in found:
            self._claims[item.id] = item
        while len(self._claims) > CLAIMS_KEPT:
            self._claims.popitem(last=False)
        return found

    async def _claim_together(self, piece: Claim) -> Sequence[Item] | None:
        """The next items, when nothing else is to be done first; None when something is."""
        queue = piece.queue
        batches = self._queues.setdefault(queue, Batches(partial(self._claim_batch, queue), MOST_TOGETHER))
        try:
            await batches.submit(piece)
        finally:
            if batches.is_idle and self._queues.get(queue) is batches:
                del self._queues[queue]
        return piece.result()

    async def _claim_batch(self, queue: str, pieces: Sequence[Claim]) -> None:
        known = self._shapes.get(queue, {NO_NEEDS})
        await claim_batch(self._database, self._clock, known, pieces)

    async def _claim_alone(self, piece: Claim, profile: Mapping[str, Any] | None) -> Sequence[Item]:
        made: _Found = []  # what an earlier try took, whose answer was lost

        async def claim(session: Session, again: bool) -> Sequence[Item]:
            if again and made and (done := await _still(session, made)):
                return done
            made.clear()
            return await self._claim_in_turn(session, piece, profile, made)

        return await self._database.run(FILE, claim)

    async def _claim_in_turn(
        self, session: Session, piece: Claim, profile: Mapping[str, Any] | None, made: _Found
    ) -> Sequence[Item]:
        def fits(needs: Mapping[str, Any]) -> bool:
            shapes.add(canonical_json(needs).decode())
            return rules.fits(needs, profile)

        shapes = {NO_NEEDS}
        now = self._clock.now()
        async with session.transaction():
            rows = QueueRows(session, piece.queue, now)
            await rows.lock()
            settled = await rows.settle()
            chosen = await rows.choose(len(piece.tokens), fits)
            for row, token in zip(chosen, piece.tokens, strict=False):
                made.append(rules.claimed(item_of(row), piece.worker, token, now, piece.lease_seconds))
                await rows.put(made[-1], before=row)
        self._settled += settled
        known = self._shapes.setdefault(piece.queue, {NO_NEEDS})
        if len(known) > SHAPES_KEPT:
            known.clear()
        known |= shapes
        return list(made)

    async def renew(self, item: str, token: str, lease_seconds: float) -> Item:
        check_lease_seconds(lease_seconds)

        def renew(found: Item, lease: Lease) -> Item:
            return rules.renewed(found, lease, self._clock.now(), lease_seconds)

        return await self._with_token(item, token, renew)

    async def complete(self, item: str, token: str, result: Mapping[str, Any]) -> Item:
        check_content(result, "result")
        return await self._database.background.call(lambda: self._complete(item, token, result))

    async def _complete(self, id: str, token: str, result: Mapping[str, Any]) -> Item:
        claim = self._claims.pop(id, None)
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
        self._claims.pop(id, None)
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
        """What *step* makes of item *id* under its queue's lock. Raises NotFound, Corrupted."""
        for place in await session.rows("places", id=id):
            async with session.transaction():
                rows = QueueRows(session, place["queue"], self._clock.now())
                await rows.lock()
                ended = await rows.settle() if settled else []
                row = await rows.row(id)
                if row is None:
                    continue
                found = await step(rows, row, item_of(row))
            self._settled += ended
            return found
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


async def _still(session: Session, made: Sequence[Item]) -> Sequence[Item]:
    """Those of *made* that are stored."""
    places = {"ids": [item.id for item in made], "queues": [item.queue for item in made]}
    rows = {row["id"]: row for row in await session.rows("known", **places)}
    return [item for item in made if item.id in rows and item_of(rows[item.id]) == item]


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
