"""Claiming: many claims by one statement where nothing stands in the way, else each under the queue's lock."""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from argosy_core.canonical import canonical_json
from argosy_core.clock import Clock
from argosy_core.storage import item_rules as rules
from argosy_core.storage.item import Item
from argosy_core.storage.postgres.batches import Batches
from argosy_core.storage.postgres.database import Database, Session
from argosy_core.storage.postgres.item_batches import FILE, Claim, claim_batch
from argosy_core.storage.postgres.item_rows import QueueRows, item_of

_Found = list[Item]
MOST_TOGETHER = 200
LANES = 3  # statements of a kind on their way at once: they share the server's syncs
CLAIMS_KEPT = 256  # claimed items that are remembered, so that completing one need not read it
SHAPES_KEPT = 1_000
NO_NEEDS = "{}"


class Claims:
    """The claims of one handle, all on the database's loop. What is put right by the way goes to *settled*."""

    def __init__(self, database: Database, clock: Clock, settled: deque[Item]) -> None:
        self._database = database
        self._clock = clock
        self._settled = settled
        self._held: OrderedDict[str, Item] = OrderedDict()
        self._shapes: dict[str, set[str]] = {}  # what items of a queue need, as far as it was seen
        self._queues: dict[str, Batches[Claim]] = {}

    def forget(self, id: str) -> Item | None:
        """The item *id* as it was claimed here, if it is remembered; it is not any more."""
        return self._held.pop(id, None)

    async def claim(self, piece: Claim, profile: Mapping[str, Any] | None) -> Sequence[Item]:
        """The items that *piece* asks for and *profile* may have, the next one first."""
        known = self._shapes.get(piece.queue, {NO_NEEDS})
        fitting = [needs for needs in known if rules.fits(json.loads(needs), profile)]
        found: Sequence[Item] | None = None
        if len(fitting) == 1:
            piece.needs = fitting[0]
            found = await self._claim_together(piece)
        if found is None:
            found = await self._claim_alone(piece, profile)
        for item in found:
            self._held[item.id] = item
        while len(self._held) > CLAIMS_KEPT:
            self._held.popitem(last=False)
        return found

    async def _claim_together(self, piece: Claim) -> Sequence[Item] | None:
        """The next items, when nothing else is to be done first; None when something is."""
        queue = piece.queue
        batches = self._queues.setdefault(queue, Batches(partial(self._claim_batch, queue), MOST_TOGETHER, LANES))
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


async def _still(session: Session, made: Sequence[Item]) -> Sequence[Item]:
    """Those of *made* that are stored."""
    places = {"ids": [item.id for item in made], "queues": [item.queue for item in made]}
    rows = {row["id"]: row for row in await session.rows("known", **places)}
    return [item for item in made if item.id in rows and item_of(rows[item.id]) == item]
