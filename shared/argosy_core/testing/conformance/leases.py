"""The promises of `Leases`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from argosy_core.errors import Conflict, InvalidArgument
from argosy_core.storage.base import Lease, Leases
from argosy_core.testing.conformance import Opener
from argosy_core.testing.conformance.promises import at_once, promise, refused, same
from argosy_core.testing.fakes import FakeClock

Open = Opener[Leases]
Check = Callable[[Open], Coroutine[Any, Any, None]]
# Each pair has one slug, or one spelling on some file systems.
TWINS = (
    ("C++", "c_plus_plus"),
    ("Job", "job"),
    ("a b", "a_b"),
    ("a/b", "a_b"),
    ("é", "e\u0301"),
    ("x" * 119, "x" * 120),
)
NAMES = (
    "日本",
    "日" * 120,
    "🚢 ship" + "🚢" * 100,
    "../../x1",
    "/etc/passwd",
    "C:\\x",
    "con",
    "a\0b",
    "x\n\u202ey",
    "𝔘" * 120,
)
BAD_NAMES = ("", " ", "...", "---", "x" * 121)


async def check_a_lease_is_held_by_one(open_leases: Open) -> None:
    """While a lease has not ended nobody gets another on its name, not even its holder; `current` says who has it."""
    async with open_leases(FakeClock()) as one, open_leases(FakeClock()) as two:
        lease = await one.acquire("job", "me", 30)
        for leases, holder in ((one, "you"), (two, "you"), (one, "me"), (two, "me")):
            with refused(Conflict, what="a lease that is held") as caught:
                await leases.acquire("job", holder, 30)
            same(caught[0].detail.get("holder"), "me", "the conflict's detail names the holder")
        for leases in (one, two):
            same(await leases.current("job"), lease, "current is the lease")
            same(await leases.current("other"), None, "nobody holds another name")
        same((lease.name, lease.holder), ("job", "me"), "a lease says what and whose it is")


async def check_one_of_many_gets_it(open_leases: Open) -> None:
    """Of many that want a lease at once, on several handles, exactly one gets it."""
    async with open_leases() as one, open_leases() as two:
        got: list[Lease] = []

        async def acquire(number: int) -> None:
            try:
                got.append(await (one, two)[number % 2].acquire("job", f"holder {number}", 600))
            except Conflict:
                return

        await at_once([partial(acquire, n) for n in range(16)])
        same(len(got), 1, "one of sixteen")
        same(await two.current("job"), got[0], "it is the current one")


async def check_a_lease_ends_by_the_clock(open_leases: Open) -> None:
    """A lease holds until its time to live has passed and not longer; then another may have it."""
    clock = FakeClock()
    async with open_leases(clock) as leases:
        lease = await leases.acquire("job", "me", 30)
        same(lease.expires_at, clock.now() + timedelta(seconds=30), "the end is the clock's time and the time to live")
        clock.advance(29.5)
        same(await leases.current("job"), lease, "it holds until its end")
        clock.advance(0.5)
        same(await leases.current("job"), None, "it holds no longer")
        taken = await leases.acquire("job", "you", 30)
        promise(taken.generation > lease.generation and taken.token != lease.token, "the next is another", taken)


async def check_generations_only_grow(open_leases: Open) -> None:
    """Every lease on a name has a higher generation than all before it, through release, expiry and reopening."""
    clock = FakeClock()
    seen: list[int] = []
    for _ in range(3):
        async with open_leases(clock) as leases:
            for step in ("release", "expire", "release"):
                lease = await leases.acquire("job", "me", 30)
                seen.append(lease.generation)
                if step == "release":
                    await leases.release(lease)
                else:
                    clock.advance(31)
    promise(all(a < b for a, b in pairwise(seen)), "generations grow", seen)


async def check_tokens_are_never_the_same(open_leases: Open) -> None:
    """No two leases have one token, and a token cannot be guessed from the name."""
    async with open_leases() as one, open_leases() as two:
        tokens = [
            (await leases.acquire(f"job {n}", "me", 30)).token for n in range(8) for leases in ((one, two)[n % 2],)
        ]
        same(len({*tokens}), 8, "eight tokens")
        promise(all(len(token) >= 32 for token in tokens), "tokens are long", tokens)


async def check_renewing_moves_the_end(open_leases: Open) -> None:
    """Renewing the current lease moves its end and changes nothing else; any copy of it will do, on any handle."""
    clock = FakeClock()
    async with open_leases(clock) as one, open_leases(clock) as two:
        lease = await one.acquire("job", "me", 30)
        for leases in (one, two, one):
            clock.advance(20)
            renewed = await leases.renew(lease, 30)
            same(renewed, replace(lease, expires_at=clock.now() + timedelta(seconds=30)), "the end moves, no more")
            same(await two.current("job"), renewed, "and is kept")
        same((await one.renew(lease, 5)).expires_at, clock.now() + timedelta(seconds=5), "it may come nearer too")


async def check_what_ended_is_not_renewed(open_leases: Open) -> None:
    """A lease that expired, was released, was taken by another or never was cannot be renewed: Conflict."""
    clock = FakeClock()
    async with open_leases(clock) as leases:
        expired = await leases.acquire("a", "me", 30)
        released = await leases.acquire("b", "me", 30)
        await leases.release(released)
        taken = await leases.acquire("c", "me", 30)
        clock.advance(30)
        holder = await leases.acquire("c", "you", 30)
        never = Lease("d", "me", "token", 1, clock.now() + timedelta(seconds=30))
        forged = replace(holder, token="0" * 32)
        for lease in (expired, released, taken, never, forged, replace(released, token="")):
            with refused(Conflict, what=f"renewing {lease.name} for {lease.holder}"):
                await leases.renew(lease, 30)
        same(await leases.current("c"), holder, "the holder keeps it")
        same(await leases.current("a"), None, "what ended stays ended")


async def check_releasing_frees_at_once(open_leases: Open) -> None:
    """A released lease is free at once, for everybody; releasing it again, or an older one, does nothing."""
    clock = FakeClock()
    async with open_leases(clock) as one, open_leases(clock) as two:
        first = await one.acquire("job", "me", 30)
        await two.release(first)
        same(await one.current("job"), None, "a released lease is free")
        second = await two.acquire("job", "you", 30)
        for lease in (
            first,
            first,
            replace(second, token=first.token),
            replace(second, token=""),
            replace(second, name="none"),
        ):
            await one.release(lease)
        same(await one.current("job"), second, "the holder keeps it")


async def check_names_stay_apart(open_leases: Open) -> None:
    """Names that differ are different leases, however alike they look, in every script and with every sign."""
    async with open_leases(FakeClock()) as leases:
        for name in {*NAMES, *(name for pair in TWINS for name in pair)}:
            lease = await leases.acquire(name, f"of {name}", 30)
            same(lease.name, name, "a name nobody used before")
            same(await leases.current(name), lease, "the name's own lease")


async def check_bad_arguments_are_refused(open_leases: Open) -> None:
    """A name without a letter or digit or above 120 characters, and a senseless time to live, are refused."""
    async with open_leases(FakeClock()) as leases:
        for name in BAD_NAMES:
            with refused(InvalidArgument, what=f"the name {name[:20]!a}"):
                await leases.acquire(name, "me", 30)
        for seconds in (0, -1, 86_401, float("nan"), float("inf")):
            with refused(InvalidArgument, what=f"a lease of {seconds} seconds"):
                await leases.acquire("job", "me", seconds)
        lease = await leases.acquire("job", "me", 30)
        with refused(InvalidArgument, what="renewing for no time"):
            await leases.renew(lease, 0)
        same(await leases.current("job"), lease, "a refused renewal changes nothing")


CHECKS: tuple[Check, ...] = (
    check_a_lease_is_held_by_one,
    check_one_of_many_gets_it,
    check_a_lease_ends_by_the_clock,
    check_generations_only_grow,
    check_tokens_are_never_the_same,
    check_renewing_moves_the_end,
    check_what_ended_is_not_renewed,
    check_releasing_frees_at_once,
    check_names_stay_apart,
    check_bad_arguments_are_refused,
)
