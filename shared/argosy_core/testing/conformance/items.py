"""The promises of `Items`: enqueueing, claiming, ending."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from argosy_core.errors import Conflict
from argosy_core.storage.base import Item, Items, Lease, NewItem
from argosy_core.testing.conformance import Opener
from argosy_core.testing.conformance.promises import at_once, promise, refused, same
from argosy_core.testing.fakes import FakeClock

Open = Opener[Items]
Check = Callable[[Open], Coroutine[Any, Any, None]]
Call = Callable[[], Coroutine[Any, Any, Any]]
QUEUE = "mail"


def new(payload: Any = None, **more: Any) -> NewItem:
    """An item for `QUEUE`."""
    return NewItem(more.pop("queue", QUEUE), payload if payload is not None else {"n": 1}, **more)


def lease_of(item: Item) -> Lease:
    """The lease of a claimed item; raises Broken when it has none."""
    promise(item.lease is not None, "a claimed item has its lease", item)
    assert item.lease is not None
    return item.lease


async def claim_one(items: Items, seconds: float = 30, **more: Any) -> tuple[Item, str]:
    """The next item and its token; raises Broken when there is none."""
    found = await items.claim(QUEUE, "worker", seconds, **more)
    same(len(found), 1, "one item is claimed")
    return found[0], lease_of(found[0]).token


async def order_of(items: Items, count: int = 10, **more: Any) -> Sequence[Any]:
    """The ``n`` of all that a claim of *count* gets, in its order."""
    return [item.payload["n"] for item in await items.claim(QUEUE, "worker", 86_400, count, **more)]


async def check_an_item_comes_back_as_it_was_put(open_items: Open) -> None:
    """What is enqueued is there on every handle with all its fields, ready, as often as it is asked for."""
    clock = FakeClock()
    async with open_items(clock) as one, open_items(clock) as two:
        made, duplicate = await one.enqueue(
            new(
                {"text": "日本 🚢", "deep": [{"a": None}]},
                priority=3,
                expires_at=clock.now() + timedelta(days=1),
                needs={"gpu": True, "memory": 16},
                conflict_keys=("a", "b"),
                max_attempts=5,
                creator="harbor",
                grant="grant-1",
                trigger="nightly",
            )
        )
        same((duplicate, made.state, made.attempt, made.generation), (False, "ready", 0, 0), "a new item is ready")
        same((made.creator, made.grant, made.trigger), ("harbor", "grant-1", "nightly"), "who asked goes with it")
        same(made.created_at, clock.now(), "it says when it was made")
        for items in (one, two):
            same(await items.get(made.id), made, "get gives what enqueue gave")
            same(list((await items.list(QUEUE))[0]), [made], "and so does list")
        same(list(await two.queues()), [QUEUE], "the queue is there")


async def check_a_key_enqueues_once(open_items: Open) -> None:
    """The same key and payload give the first item again, whatever became of it; another payload is a Conflict."""
    async with open_items(FakeClock()) as one, open_items(FakeClock()) as two:
        first, _ = await one.enqueue(new({"a": 1, "b": 2}, key="k"))
        again, duplicate = await two.enqueue(new({"b": 2, "a": 1}, key="k"))
        same((again.id, duplicate), (first.id, True), "the same item")
        with refused(Conflict, what="another payload under the key"):
            await two.enqueue(new({"a": 2}, key="k"))
        other, duplicate = await one.enqueue(new({"a": 2}, key="k", queue="other"))
        promise(not duplicate and other.id != first.id, "another queue has its own keys", other)
        claimed, token = await claim_one(one)
        await one.complete(claimed.id, token, {"ok": True})
        done, duplicate = await two.enqueue(new({"a": 1, "b": 2}, key="k"))
        same((done.id, done.state, duplicate), (first.id, "done", True), "also when it is done")
        same(len((await one.list(QUEUE))[0]), 1, "there is one")


async def check_one_key_of_many_at_once(open_items: Open) -> None:
    """Of many that enqueue under one key at once, on several handles, one makes the item and all get it."""
    async with open_items() as one, open_items() as two:
        got: list[tuple[str, bool]] = []

        async def put(number: int) -> None:
            item, duplicate = await (one, two)[number % 2].enqueue(new(key="k"))
            got.append((item.id, duplicate))

        await at_once([partial(put, n) for n in range(16)])
        same((len({id for id, _ in got}), sum(not d for _, d in got)), (1, 1), "one item, one maker")


async def check_the_order_is_priority_then_age(open_items: Open) -> None:
    """Items are claimed highest priority first and of these the oldest first."""
    async with open_items(FakeClock()) as items:
        for number, priority in enumerate((0, 5, 0, -1, 5, 0)):
            await items.enqueue(new({"n": number}, priority=priority))
        same(await order_of(items, 2), [1, 4], "the two of priority 5")
        same(await order_of(items), [0, 2, 5, 3], "then the others, oldest first")
        same(await order_of(items), [], "then nothing")


async def check_an_item_is_claimed_by_one(open_items: Open) -> None:
    """Of many that claim at once, on several handles, no two get one item, and all items are got."""
    async with open_items() as one, open_items() as two:
        for number in range(12):
            await one.enqueue(new({"n": number}))
        got: list[int] = []

        async def take(number: int) -> None:
            got.extend(await order_of((one, two)[number % 2], 2))

        await at_once([partial(take, n) for n in range(8)])
        same(sorted(got), list(range(12)), "each once")


async def check_a_claim_says_whose_it_is(open_items: Open) -> None:
    """A claimed item is leased to its worker until the lease's end, with a new token and a higher generation."""
    clock = FakeClock()
    async with open_items(clock) as items:
        await items.enqueue(new())
        seen: list[Lease] = []
        for attempt in (1, 2):
            item, token = await claim_one(items)
            lease = lease_of(item)
            same((item.state, item.attempt, lease.holder), ("leased", attempt, "worker"), "it is the worker's")
            same(lease.expires_at, clock.now() + timedelta(seconds=30), "until then")
            same(await items.get(item.id), item, "and is kept")
            seen.append(lease)
            await items.fail(item.id, token, "no", 0)
        promise(seen[0].generation < seen[1].generation and seen[0].token != seen[1].token, "a new lease", seen)
        promise(all(len(lease.token) >= 32 for lease in seen), "tokens are long", seen)


async def check_completing_ends_it(open_items: Open) -> None:
    """A completed item is done with its result for ever; completing it again with the same token changes nothing."""
    async with open_items(FakeClock()) as items:
        await items.enqueue(new())
        item, token = await claim_one(items)
        done = await items.complete(item.id, token, {"sum": 3})
        same((done.state, done.result), ("done", {"sum": 3}), "it is done")
        same(await items.complete(item.id, token, {"sum": 3}), done, "the same call again gives the same")
        same(await items.claim(QUEUE, "worker", 30), [], "nobody gets it again")
        ends: tuple[Call, ...] = (
            partial(items.complete, item.id, token, {"sum": 4}),
            partial(items.fail, item.id, token, "no"),
            partial(items.release, item.id, token),
            partial(items.renew, item.id, token, 30),
            partial(items.cancel, item.id),
            partial(items.prioritize, item.id, 1),
            partial(items.retry, item.id),
        )
        for end in ends:
            with refused(Conflict, what="a change of what is done"):
                await end()
        same(await items.get(item.id), done, "it stays as it is")


async def check_an_older_token_wins_nothing(open_items: Open) -> None:
    """The token of an older claim, or one that never was, can neither complete, fail, renew nor release: Conflict."""
    clock = FakeClock()
    async with open_items(clock) as one, open_items(clock) as two:
        await one.enqueue(new())
        item, old = await claim_one(one)
        clock.advance(31)
        newer, token = await claim_one(two)
        same((newer.id, newer.attempt), (item.id, 2), "an ended lease gives its item to the next")
        for wrong in (old, "", "0" * 32, token[:-1]):
            ends: tuple[Call, ...] = (
                partial(one.complete, item.id, wrong, {}),
                partial(one.fail, item.id, wrong, "no"),
                partial(one.release, item.id, wrong),
                partial(one.renew, item.id, wrong, 30),
            )
            for end in ends:
                with refused(Conflict, what="an older token"):
                    await end()
        same((await two.complete(item.id, token, {})).state, "done", "the newest completes")


async def check_a_late_worker_with_the_newest_token_completes(open_items: Open) -> None:
    """A lease whose end nobody has noticed still completes: clocks decide when to try, generations who wins."""
    clock = FakeClock()
    async with open_items(clock) as items:
        await items.enqueue(new())
        item, token = await claim_one(items)
        clock.advance(31)
        same((await items.complete(item.id, token, {})).state, "done", "nobody else was given it")


async def check_renewing_keeps_it(open_items: Open) -> None:
    """A renewed claim keeps its token, generation and attempt and ends later."""
    clock = FakeClock()
    async with open_items(clock) as items:
        await items.enqueue(new())
        item, token = await claim_one(items)
        for _ in range(3):
            clock.advance(20)
            renewed = await items.renew(item.id, token, 30)
            same(lease_of(renewed).expires_at, clock.now() + timedelta(seconds=30), "the end moves")
            same((lease_of(renewed).token, renewed.attempt), (token, 1), "and nothing else")
            same(await items.claim(QUEUE, "other", 30), [], "nobody else gets it")


async def check_an_ended_lease_gives_the_item_back(open_items: Open) -> None:
    """A lease that ended makes its item ready with the attempt counted and a reason; after the last one it is dead."""
    clock = FakeClock()
    async with open_items(clock) as items:
        await items.enqueue(new(max_attempts=2))
        item, _ = await claim_one(items)
        clock.advance(30)
        back = await items.get(item.id)
        same((back.state, back.attempt, back.lease), ("ready", 1, None), "ready again, the attempt counted")
        promise("worker" in (back.reason or "") and len(back.failures) == 1, "it says why", back)
        await claim_one(items)
        clock.advance(31)
        dead = await items.get(item.id)
        same((dead.state, dead.attempt), ("dead", 2), "dead with its last attempt")
        promise("lease" in (dead.reason or "") and len(dead.failures) == 2, "and says why", dead)
        same(await items.claim(QUEUE, "worker", 30), [], "nobody gets it")
        same([i.state for i in items.settled()], ["ready", "dead"], "what was put right is told once")
        same(list(items.settled()), [], "and not again")


async def check_a_refused_call_puts_right_what_time_did(open_items: Open) -> None:
    """A call that is refused because a lease ended has noticed that: it is told, and the old token wins nothing."""
    clock = FakeClock()
    async with open_items(clock) as items:
        await items.enqueue(new(max_attempts=2))
        item, token = await claim_one(items)
        clock.advance(30)
        with refused(Conflict, what="to lift what is ready by itself"):
            await items.retry(item.id)
        same([i.state for i in items.settled()], ["ready"], "what was put right is told")
        with refused(Conflict, what="the token of a lease whose end was noticed"):
            await items.complete(item.id, token, {})
        same((await items.get(item.id)).state, "ready", "it waits for the next")


async def check_a_failure_is_tried_again_later(open_items: Open) -> None:
    """A failed attempt waits, longer each time and never above an hour, or as long as was said; then it runs again."""
    clock = FakeClock()
    async with open_items(clock) as items:
        await items.enqueue(new(max_attempts=20))
        pauses: list[float] = []
        for attempt in range(1, 14):
            item, token = await claim_one(items)
            failed = await items.fail(item.id, token, f"try {attempt}")
            same((failed.state, failed.attempt, failed.reason), ("failed", attempt, f"try {attempt}"), "it failed")
            assert failed.not_before is not None
            pauses.append((failed.not_before - clock.now()).total_seconds())
            same(await items.claim(QUEUE, "worker", 30), [], "not before its time")
            clock.advance(pauses[-1])
        promise(pauses == sorted(pauses) and pauses[0] < pauses[3] and 0 < pauses[-1] <= 3600, "it backs off", pauses)
        item, token = await claim_one(items)
        same((await items.fail(item.id, token, "x", 0)).state, "ready", "no pause: ready at once")
        item, token = await claim_one(items)
        failed = await items.fail(item.id, token, "x", 7)
        same(failed.not_before, clock.now() + timedelta(seconds=7), "as long as was said")
        promise(len(failed.failures) >= 15, "every failure is kept", failed.failures)


async def check_the_last_failure_is_the_end(open_items: Open) -> None:
    """An item whose attempts are used up is dead with its reason, until `retry` gives it all of them again."""
    async with open_items(FakeClock()) as items:
        await items.enqueue(new(max_attempts=1))
        item, token = await claim_one(items)
        dead = await items.fail(item.id, token, "the printer burns")
        same(dead.state, "dead", "dead")
        promise("the printer burns" in (dead.reason or ""), "with the reason", dead.reason)
        same(await items.claim(QUEUE, "worker", 30), [], "nobody gets it")
        again = await items.retry(item.id)
        same((again.state, again.attempt), ("ready", 0), "ready with all attempts")
        item, token = await claim_one(items)
        same((await items.complete(item.id, token, {})).state, "done", "and it can be done")


async def check_releasing_counts_nothing(open_items: Open) -> None:
    """A released item is ready at once with the attempt uncounted; with a hold it waits until somebody lifts it."""
    async with open_items(FakeClock()) as items:
        await items.enqueue(new(max_attempts=1))
        for _ in range(3):
            item, token = await claim_one(items)
            same(item.attempt, 1, "the first attempt still")
            same((await items.release(item.id, token)).state, "ready", "ready")
        item, token = await claim_one(items)
        held = await items.release(item.id, token, "waits for question 7")
        same((held.state, held.holds), ("held", ("waits for question 7",)), "held with its reason")
        same(await items.claim(QUEUE, "worker", 30), [], "nobody gets it")
        same((await items.retry(item.id)).state, "ready", "until it is lifted")
        await claim_one(items)


CHECKS: tuple[Check, ...] = (
    check_an_item_comes_back_as_it_was_put,
    check_a_key_enqueues_once,
    check_one_key_of_many_at_once,
    check_the_order_is_priority_then_age,
    check_an_item_is_claimed_by_one,
    check_a_claim_says_whose_it_is,
    check_completing_ends_it,
    check_an_older_token_wins_nothing,
    check_a_late_worker_with_the_newest_token_completes,
    check_renewing_keeps_it,
    check_an_ended_lease_gives_the_item_back,
    check_a_refused_call_puts_right_what_time_did,
    check_a_failure_is_tried_again_later,
    check_the_last_failure_is_the_end,
    check_releasing_counts_nothing,
)
