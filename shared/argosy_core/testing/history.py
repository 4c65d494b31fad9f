"""Checks what several workers did to a work queue, over any substrate: each item ends once, by the newest token.

Workers record what was acknowledged to them, each in a file or list of its own; `check_history` takes all of it, and
what the store says at the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, cast

from argosy_core.storage.base import ENDED_STATES, Item, Items, ItemState, NewItem

Kind = Literal["enqueue", "claim", "renew", "complete", "fail", "release", "cancel"]


@dataclass(frozen=True, slots=True)
class Op:
    """One acknowledged call. *began* and *ended* frame it on one clock for all workers; *until* is the lease's end on
    the clock of the store, *at* the time there when the call came back. One that was *tried* began, and may have done
    what it should: its worker died before it could say."""

    kind: Kind
    item: str
    began: float
    ended: float
    at: float = 0.0
    generation: int = 0
    token: str = ""
    until: float = 0.0
    tried: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """What the store says of an item when all is over."""

    item: str
    state: ItemState
    reason: str | None
    generation: int


class Recorder:
    """`Items` as a worker uses them; each acknowledged call is given to *keep*."""

    def __init__(
        self, items: Items, monotonic: Callable[[], float], now: Callable[[], float], keep: Callable[[Op], Any]
    ):
        self._items = items
        self._monotonic = monotonic
        self._now = now
        self._keep = keep

    async def enqueue(self, new: NewItem) -> Item:
        began = self._monotonic()
        item, _ = await self._items.enqueue(new)
        self._record("enqueue", item, began)
        return item

    async def claim(self, queue: str, worker: str, lease_seconds: float, count: int = 1) -> Sequence[Item]:
        began = self._monotonic()
        found = await self._items.claim(queue, worker, lease_seconds, count)
        for item in found:
            self._record("claim", item, began)
        return found

    async def renew(self, item: Item, lease_seconds: float) -> Item:
        began = self._monotonic()
        found = await self._items.renew(item.id, _token(item), lease_seconds)
        self._record("renew", found, began)
        return found

    async def complete(self, item: Item, result: Mapping[str, Any]) -> Item:
        began = self._try("complete", item)
        found = await self._items.complete(item.id, _token(item), result)
        self._record("complete", item, began)
        return found

    async def fail(self, item: Item, error: str, retry_in_seconds: float | None = None) -> Item:
        began = self._try("fail", item)
        found = await self._items.fail(item.id, _token(item), error, retry_in_seconds)
        self._record("fail", item, began)
        return found

    async def release(self, item: Item) -> Item:
        began = self._try("release", item)
        found = await self._items.release(item.id, _token(item))
        self._record("release", item, began)
        return found

    def _try(self, kind: Kind, item: Item) -> float:
        """Record that a call begins, and when: its item may be free before anybody hears that it ended."""
        began = self._monotonic()
        self._record(kind, item, began, tried=True)
        return began

    def _record(self, kind: Kind, item: Item, began: float, *, tried: bool = False) -> None:
        lease = item.lease
        held = (lease.generation, lease.token, lease.expires_at.timestamp()) if lease else (0, "", 0.0)
        self._keep(Op(kind, item.id, began, self._monotonic(), self._now(), *held, tried=tried))


def _token(item: Item) -> str:
    assert item.lease is not None
    return item.lease.token


def line_of(op: Op) -> str:
    """*op* as a line of JSON."""
    return json.dumps(asdict(op))


def read_lines(text: str) -> list[Op]:
    """The operations in *text*; a last line that its writer's death cut off was never acknowledged to anybody."""
    whole, _, _ = text.rpartition("\n")
    return [Op(**cast("dict[str, Any]", json.loads(line))) for line in whole.splitlines()]


async def ends_of(items: Items, queue: str) -> list[End]:
    """What *items* says of every item of *queue*."""
    found: list[End] = []
    cursor: str | None = None
    while True:
        page, cursor = await items.list(queue, limit=500, cursor=cursor)
        found += [End(item.id, item.state, item.problem or item.reason, item.generation) for item in page]
        if cursor is None:
            return found


def is_loss(problem: str) -> bool:
    """Whether *problem*, of `check_history`, says that something was lost; the others say that it was done twice."""
    return problem.endswith((" is lost", " forgot a claim")) or " never ended: " in problem


def check_history(ops: Iterable[Op], ends: Iterable[End], skew_seconds: float = 0.0) -> list[str]:
    """Every way in which the history is not one of a queue that keeps its promises; [] when it is.

    *skew_seconds* is how far the clocks of two workers may be apart.
    """
    by_item: dict[str, list[Op]] = {}
    for op in ops:
        by_item.setdefault(op.item, []).append(op)
    all_ends = list(ends)
    last = {end.item: end for end in all_ends}
    found = (
        [f"{item} is there twice" for item in last if sum(end.item == item for end in all_ends) > 1]
        if len(last) < len(all_ends)
        else []
    )
    for item, done in by_item.items():
        ordered = sorted(done, key=lambda op: op.ended)
        found += [f"{item} {problem}" for problem in _problems(ordered, last.get(item), skew_seconds)]
    return found


def _problems(ops: Sequence[Op], end: End | None, skew_seconds: float) -> Iterable[str]:
    completions = [op for op in ops if op.kind == "complete" and not op.tried]
    claims = [op for op in ops if op.kind == "claim"]
    if end is None:
        yield "is lost"
    else:
        yield from _end_problems(end, completions, claims)
    if len({op.token for op in completions}) > 1:
        yield f"was completed {len(completions)} times"
    for complete in completions:
        newer = [op for op in claims if op.generation > complete.generation and op.began < complete.ended]
        if any(op.ended <= complete.began for op in newer):
            yield f"was completed by generation {complete.generation} after generation {newer[0].generation} was given"
        if any(op.began >= complete.ended for op in claims):
            yield "was claimed after it was completed"
    yield from _lease_problems(ops, claims, skew_seconds)


def _end_problems(end: End, completions: Sequence[Op], claims: Sequence[Op]) -> Iterable[str]:
    if end.state not in ENDED_STATES:
        yield f"never ended: it is {end.state}"
    elif end.state != "done" and not end.reason:
        yield f"ended {end.state} without a reason"
    if completions and end.state != "done":
        yield f"was completed and is {end.state}"
    if end.state == "done" and completions and end.generation != completions[-1].generation:
        yield f"was completed by generation {completions[-1].generation}, not by the newest, {end.generation}"
    if any(op.generation > end.generation for op in claims):
        yield "forgot a claim"


def _lease_problems(ops: Sequence[Op], claims: Sequence[Op], skew_seconds: float) -> Iterable[str]:
    tokens = {(op.generation, op.token) for op in claims}
    if len({generation for generation, _ in tokens}) < len(claims) or len({token for _, token in tokens}) < len(claims):
        yield "gave one generation or token out twice"
    ordered = sorted(claims, key=lambda op: op.generation)
    for older, newer in pairwise(ordered):
        # It ends when it was given back, or by the clock at its last known end.
        mine = [op for op in ops if op.token == older.token]
        given_back = [op.began for op in mine if op.kind in ("fail", "release", "complete")]
        until = max(op.until for op in mine if op.kind in ("claim", "renew"))
        if newer.at < until - skew_seconds and not any(began <= newer.ended for began in given_back):
            yield f"was leased to generation {newer.generation} while generation {older.generation} held it"
