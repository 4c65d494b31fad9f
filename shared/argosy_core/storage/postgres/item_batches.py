"""Enqueueing and completing many items by one statement: what arrives together shares it and its commit."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError
from argosy_core.storage import item_rules as rules
from argosy_core.storage.gathering import Pending
from argosy_core.storage.item import Item, NewItem
from argosy_core.storage.item_record import text_of
from argosy_core.storage.postgres.database import Database, Row, Session
from argosy_core.storage.postgres.item_rows import columns, item_of

FILE = "items.sql"


class Enqueue(Pending[tuple[Item, bool]]):
    """A new item without conflict keys; what comes of it is what `Items.enqueue` gives."""

    def __init__(self, new: NewItem, item: Item) -> None:
        super().__init__()
        self.new = new
        self.item = item


class Completion(Pending[bool]):
    """*done* in place of *claim*, an item without conflict keys; False when that is not what is stored any more."""

    def __init__(self, claim: Item, done: Item) -> None:
        super().__init__()
        self.claim = claim
        self.done = done


class Claim(Pending[Sequence[Item] | None]):
    """A claim of as many items as it has *tokens*, of those whose needs are *needs*; None when other things are to be
    done first, or looked at."""

    def __init__(self, queue: str, worker: str, lease_seconds: float, tokens: Sequence[str]) -> None:
        super().__init__()
        self.queue = queue
        self.worker = worker
        self.lease_seconds = lease_seconds
        self.tokens = tokens
        self.needs = ""


async def claim_batch(database: Database, clock: Clock, known: Collection[str], pieces: Sequence[Claim]) -> None:
    """Finish every one of *pieces*, all of one queue in which items have needs that are *known*."""
    for needs in dict.fromkeys(piece.needs for piece in pieces):
        some = [piece for piece in pieces if piece.needs == needs]
        await database.run(FILE, partial(_claim, clock.now(), known, some))


async def _claim(now: datetime, known: Collection[str], pieces: Sequence[Claim], session: Session, again: bool) -> None:
    slots = [(piece, token) for piece in pieces for token in piece.tokens]
    tokens = [token for _, token in slots]
    if again:
        # An earlier try may not have ended yet, and would be taken for somebody who has the items: those look in turn.
        rows = await session.rows("claimed_before", queue=pieces[0].queue, tokens=tokens)
        is_more = not rows
    else:
        rows = await session.rows(
            "claim",
            queue=pieces[0].queue,
            known=list(known),
            needs=pieces[0].needs,
            count=len(slots),
            tokens=tokens,
            workers=[piece.worker for piece, _ in slots],
            now=now,
            seconds=[float(piece.lease_seconds) for piece, _ in slots],
            lease_ends=[now + timedelta(seconds=piece.lease_seconds) for piece, _ in slots],
        )
        is_more = rows[0]["is_more"]
    found = {row["token"]: item_of(row) for row in rows if row["id"] is not None}
    for piece in pieces:
        piece.finish(None if is_more else [found[token] for token in piece.tokens if token in found])


async def enqueue_batch(database: Database, pieces: Sequence[Enqueue]) -> None:
    """Finish or fail every one of *pieces*."""
    await database.run(FILE, lambda session, again: _enqueue(session, pieces, again=again))


async def _enqueue(session: Session, pieces: Sequence[Enqueue], *, again: bool) -> None:
    fields = [columns(piece.item, _made_at(piece)) for piece in pieces]
    made = await session.rows("enqueue", **{each: [row[name] for row in fields] for each, name in _ARRAYS.items()})
    seqs: dict[tuple[str, str], int] = {(row["queue"], row["id"]): row["seq"] for row in made}
    left: list[Enqueue] = []
    for piece in pieces:
        seq = seqs.pop((piece.item.queue, piece.item.id), None)
        if seq is None:
            left.append(piece)
        else:
            piece.finish((replace(piece.item, seq=seq), False))
    if not left:
        return
    places = {"ids": [piece.item.id for piece in left], "queues": [piece.item.queue for piece in left]}
    known = {(row["queue"], row["id"]): row for row in await session.rows("known", **places)}
    for piece in left:
        _finish_known(piece, known[piece.item.queue, piece.item.id], again=again)


def _finish_known(piece: Enqueue, row: Row, *, again: bool) -> None:
    try:
        known = item_of(row)
        # Its own work again, when the answer to an earlier try was lost.
        is_mine = piece.new.key is None or (again and known.created_at == piece.item.created_at)
        if not is_mine:
            rules.check_same(known, piece.new)
        piece.finish((known, not is_mine))
    except ArgosyError as error:
        piece.fail(error)


def _made_at(piece: Enqueue) -> Any:
    assert piece.item.created_at is not None
    return piece.item.created_at


_ARRAYS = {
    "ids": "id",
    "queues": "queue",
    "states": "state",
    "priorities": "priority",
    "lanes": "lane",
    "needs": "needs",
    "keys": "keys",
    "creators": "creator",
    "created": "created",
    "wakes": "wake",
    "expires": "expires",
    "records": "record",
}


async def complete_batch(database: Database, pieces: Sequence[Completion]) -> None:
    """Finish every one of *pieces*."""
    await database.run(FILE, lambda session, _: _complete(session, pieces))


async def _complete(session: Session, pieces: Sequence[Completion]) -> None:
    rows = await session.rows(
        "complete",
        ids=[piece.claim.id for piece in pieces],
        queues=[piece.claim.queue for piece in pieces],
        revisions=[piece.claim.revision for piece in pieces],
        tokens=[piece.claim.lease.token if piece.claim.lease else "" for piece in pieces],
        records=[text_of(piece.done) for piece in pieces],
    )
    ended = {(row["queue"], row["id"]) for row in rows}
    for piece in pieces:
        piece.finish((piece.claim.queue, piece.claim.id) in ended)
