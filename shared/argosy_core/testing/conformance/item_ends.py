"""The promises of `Items` about time, order, cancelling, bad input and lists."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from argosy_core.errors import Conflict, InvalidArgument, NotFound, TooLarge
from argosy_core.testing.conformance.items import QUEUE, Call, Check, Open, claim_one, new, order_of
from argosy_core.testing.conformance.promises import promise, refused, same
from argosy_core.testing.fakes import FakeClock

BAD_QUEUES = ("", ".", "..", "a/b", "../x", "/etc", "a\\b", "a\0b", "a\nb", "x\u202ey", "con", ".hidden", "q" * 101)
GOOD_QUEUES = ("mail", "日本", "Письма", "a b", "mail-2_x")
MUCH = 256 * 1024


async def check_nothing_runs_before_its_time(open_items: Open) -> None:
    """An item is not claimed before its time, and then in its place."""
    clock = FakeClock()
    async with open_items(clock) as items:
        await items.enqueue(new({"n": 1}, not_before=clock.now() + timedelta(seconds=60), priority=9))
        await items.enqueue(new({"n": 2}))
        await items.enqueue(new({"n": 3}))
        same(await order_of(items, 1), [2], "the other comes first")
        clock.advance(59)
        same(await order_of(items, 1), [3], "and the other other")
        same(await order_of(items, 1), [], "not before its time")
        clock.advance(1)
        same(await order_of(items, 1), [1], "then it is")


async def check_what_expired_is_not_run(open_items: Open) -> None:
    """An item that waits past its end is expired with its reason; one that was claimed before that goes on."""
    clock = FakeClock()
    async with open_items(clock) as items:
        made, _ = await items.enqueue(new({"n": 1}, expires_at=clock.now() + timedelta(seconds=10)))
        taken, _ = await items.enqueue(new({"n": 2}, expires_at=clock.now() + timedelta(seconds=10), priority=1))
        _, token = await claim_one(items, 100)
        clock.advance(10)
        same(await order_of(items), [], "nothing is left")
        ended = await items.get(made.id)
        same(ended.state, "expired", "expired")
        promise(ended.reason, "with a reason", ended)
        same((await items.complete(taken.id, token, {})).state, "done", "the claimed one is done")


async def check_cancelling_ends_what_waits(open_items: Open) -> None:
    """What waits is cancelled with its reason, once; what somebody works on is not: Conflict."""
    async with open_items(FakeClock()) as items:
        one, _ = await items.enqueue(new({"n": 1}))
        await items.enqueue(new({"n": 2}, priority=1))
        busy, token = await claim_one(items)
        gone = await items.cancel(one.id, "no longer wanted")
        same((gone.state, gone.reason), ("cancelled", "no longer wanted"), "cancelled")
        same(await items.cancel(one.id), gone, "again: as it is")
        with refused(Conflict, what="cancelling what is worked on"):
            await items.cancel(busy.id)
        same(await order_of(items), [], "nobody gets it")
        same((await items.complete(busy.id, token, {})).state, "done", "the worker goes on")


async def check_draining_cancels_all_that_waits(open_items: Open) -> None:
    """Draining cancels what waits in the one queue, in batches, and leaves what is worked on."""
    async with open_items(FakeClock()) as items:
        for number in range(5):
            await items.enqueue(new({"n": number}))
        await items.enqueue(new(queue="other"))
        busy, _ = await claim_one(items)
        sizes = [len(await items.drain(QUEUE, "closing", 3)) for _ in range(3)]
        same(sizes, [3, 1, 0], "three, the rest, none")
        same(dict(await items.counts(QUEUE)), {"cancelled": 4, "leased": 1}, "all that waited")
        same(dict(await items.counts("other")), {"ready": 1}, "the other queue is as it was")
        same((await items.get(busy.id)).state, "leased", "the worker goes on")


async def check_priorities_change_the_order(open_items: Open) -> None:
    """A waiting item moves forward and back by its priority and keeps its age."""
    async with open_items(FakeClock()) as items:
        made = [(await items.enqueue(new({"n": number})))[0] for number in range(4)]
        await items.prioritize(made[2].id, 1)
        await items.prioritize(made[0].id, -1)
        await items.prioritize(made[3].id, 1)
        await items.prioritize(made[3].id, 0)
        same(await order_of(items), [2, 1, 3, 0], "by priority, then age")
        with refused(Conflict, what="the order of what is worked on"):
            await items.prioritize(made[1].id, 1)


async def check_bad_items_are_refused(open_items: Open) -> None:
    """A hostile queue name, a payload above 256 KiB or that is no JSON, and senseless numbers are refused."""
    async with open_items(FakeClock()) as items:
        for queue in BAD_QUEUES:
            with refused(InvalidArgument, what=f"the queue {queue[:20]!a}"):
                await items.enqueue(new(queue=queue))
            with refused(InvalidArgument, what=f"claiming from {queue[:20]!a}"):
                await items.claim(queue, "worker", 30)
        for payload in ({"x": float("nan")}, {"x": {1}}, {"x": "\ud800"}):
            with refused(InvalidArgument, what="a payload that is no JSON"):
                await items.enqueue(new(payload))
        with refused(TooLarge, what="a payload above the bound"):
            await items.enqueue(new({"x": "y" * MUCH}))
        for more in (
            {"max_attempts": 0},
            {"priority": 1 << 40},
            {"key": ""},
            {"key": "a\nb"},
            {"key": "k" * 201},
            {"conflict_keys": ["k"] * 21},
            {"conflict_keys": [""]},
            {"needs": {"": True}},
        ):
            with refused(InvalidArgument, what=str(more)[:40]):
                await items.enqueue(new(**more))
        for seconds, count in ((0, 1), (-1, 1), (86_401, 1), (float("nan"), 1), (30, 0), (30, 101)):
            with refused(InvalidArgument, what=f"a claim of {count} for {seconds} seconds"):
                await items.claim(QUEUE, "worker", seconds, count)
        same(list(await items.queues()), [], "nothing was made of it")
        for queue in GOOD_QUEUES:
            made, _ = await items.enqueue(new({"x": "y" * (MUCH - 10)}, queue=queue))
            same((await items.get(made.id)).queue, queue, "a good name is kept")


async def check_unknown_items_are_not_found(open_items: Open) -> None:
    """Asking for an item that never was is NotFound, whatever its name, and makes nothing."""
    async with open_items(FakeClock()) as items:
        for id in ("item_nope", "item_k" + "0" * 40, "../../x", "", "a/b", "x\0y"):
            calls: tuple[Call, ...] = (
                partial(items.get, id),
                partial(items.cancel, id),
                partial(items.complete, id, "t", {}),
                partial(items.explain, id),
            )
            for call in calls:
                with refused(NotFound, InvalidArgument, what=f"the item {id!a}"):
                    await call()
        same(list(await items.claim("nothing", "worker", 30)), [], "a queue that is not there has nothing")
        same((await items.list("nothing"))[0], [], "and lists nothing")
        same(list(await items.queues()), [], "and is not made by asking")


async def check_pages_hold_everything_once(open_items: Open) -> None:
    """Pages of a list hold every item once, newest first, narrowed by queue, state and creator."""
    clock = FakeClock()
    async with open_items(clock) as items:
        for number in range(7):
            clock.advance(1)
            await items.enqueue(new({"n": number}, creator=("harbor", "reef")[number % 2]))
        await items.enqueue(new({"n": 7}, queue="other", creator="reef"))
        await claim_one(items)
        numbers: list[int] = []
        cursor: str | None = None
        for _ in range(4):
            page, cursor = await items.list(QUEUE, limit=3, cursor=cursor)
            numbers += [item.payload["n"] for item in page]
            if cursor is None:
                break
        same(numbers, [6, 5, 4, 3, 2, 1, 0], "each once, newest first")
        ready, _ = await items.list(QUEUE, "ready", creator="harbor")
        same([item.payload["n"] for item in ready], [6, 4, 2], "ready ones of harbor")
        everywhere, _ = await items.list(creator="reef")
        same(sorted(item.payload["n"] for item in everywhere), [1, 3, 5, 7], "reef's in all queues")
        same(dict(await items.counts(creator="harbor")), {"ready": 3, "leased": 1}, "and their numbers")
        with refused(InvalidArgument, what="a cursor that is none"):
            await items.list(QUEUE, cursor="nonsense")


CHECKS: tuple[Check, ...] = (
    check_nothing_runs_before_its_time,
    check_what_expired_is_not_run,
    check_cancelling_ends_what_waits,
    check_draining_cancels_all_that_waits,
    check_priorities_change_the_order,
    check_bad_items_are_refused,
    check_unknown_items_are_not_found,
    check_pages_hold_everything_once,
)
