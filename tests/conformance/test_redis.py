"""Leases and bell in Redis keep every promise, beside any store, also when Redis goes away or forgets everything."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from promise_suites import SUITES, WHOLE_STORE, every
from redis_server import RedisServer

from argosy_core.clock import Clock
from argosy_core.errors import Conflict, Corrupted, InvalidArgument, Unavailable
from argosy_core.storage.address import Address
from argosy_core.storage.opening import open_store
from argosy_core.storage.redis import connection, schema
from argosy_core.testing.conformance import STREAMS, cancelling, hostile, restarting
from argosy_core.testing.conformance.bell import listening
from argosy_core.testing.fakes import FakeClock

pytestmark = pytest.mark.anyio
OPENER = f"{Path(__file__).parents[1] / 'support/redis_opener.py'}:opened"  # for other processes
REDIS_SUITES = {
    "leases": SUITES["leases"],
    "bell": SUITES["bell"],
    "hostile": (*hostile.LEASE_CHECKS, *hostile.BELL_CHECKS),
    "processes": SUITES["processes"],
    "cancelling": cancelling.LEASE_CHECKS,
    "restarting": (*restarting.LEASE_CHECKS, *restarting.BELL_CHECKS),
}


class Opened:
    """Opens handles on one vault whose bell and leases are in a Redis."""

    def __init__(self, root: Path, url: str, part: str) -> None:
        self._root = root
        self._url = url
        self._part = part
        for name in STREAMS:
            (root / name).mkdir(exist_ok=True)

    @property
    def elsewhere(self) -> Sequence[str]:
        return OPENER, str(self._root), self._url

    @asynccontextmanager
    async def __call__(self, clock: Clock | None = None) -> AsyncGenerator[Any]:
        store = open_store(self._root, Address(bell=self._url, leases=self._url), clock=clock)
        try:
            yield store if self._part in WHOLE_STORE else getattr(store, self._part)
        finally:
            store.close()


@pytest.mark.parametrize(("suite", "check"), every(REDIS_SUITES))
async def test_redis(suite: str, check: Callable[[Any], Awaitable[None]], redis: RedisServer, tmp_path: Path) -> None:
    await check(Opened(tmp_path, redis.url(), suite))


async def test_generations_grow_also_when_redis_lost_everything(redis: RedisServer, tmp_path: Path) -> None:
    opened = Opened(tmp_path, redis.url(), "leases")
    seen: list[int] = []
    for _ in range(3):
        async with opened() as one, opened() as two:
            for leases in (one, two, one):
                lease = await leases.acquire("job", "me", 30)
                seen.append(lease.generation)
                redis.call("FLUSHALL")
                taken = await two.acquire("job", "you", 30)
                seen.append(taken.generation)
                with pytest.raises(Conflict):
                    await leases.renew(lease, 30)
                await two.release(taken)
    assert all(before < after for before, after in pairwise(seen))


async def test_generations_grow_for_a_handle_whose_redis_has_an_older_clock(redis: RedisServer, tmp_path: Path) -> None:
    url = redis.url("ahead")
    async with Opened(tmp_path, url, "leases")(FakeClock()) as leases:
        await leases.acquire("job", "me", 30)
        [key] = redis.call("KEYS", "ahead:lease:*")
        ahead = 8_000_000_000_000_000
        redis.call("HSET", key, "generation", ahead, "token", "")
        lease = await leases.acquire("job", "me", 30)
        assert lease.generation == ahead + 1
        redis.call("FLUSHALL")
        assert (await leases.acquire("job", "me", 30)).generation == ahead + 2


async def test_a_lease_is_forgotten_long_after_it_ended_and_not_before(redis: RedisServer, tmp_path: Path) -> None:
    async with Opened(tmp_path, redis.url("kept"), "leases")() as leases:
        lease = await leases.acquire("job", "me", 86_400)
        [key] = redis.call("KEYS", "kept:lease:*")
        assert redis.call("PTTL", key) > 2 * 86_400_000
        await leases.release(lease)
        assert redis.call("PTTL", key) > 2 * 86_400_000


async def test_leases_go_on_when_redis_comes_back(redis: RedisServer, tmp_path: Path) -> None:
    async with Opened(tmp_path, redis.url(), "leases")() as leases:
        before = await leases.acquire("job", "me", 30)
        redis.stop()
        redis.start()
        after = await leases.acquire("job", "me", 30)
        assert after.generation > before.generation


async def test_a_redis_that_is_gone_is_said_to_be(
    redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PAUSES", (0.01, 0.01))
    async with Opened(tmp_path, redis.url(), "leases")() as leases:
        redis.stop()
        try:
            with pytest.raises(Unavailable) as caught:
                await leases.acquire("job", "me", 30)
            assert caught.value.hint
            with pytest.raises(Unavailable):
                open_store(tmp_path, Address(bell=redis.url()))
        finally:
            monkeypatch.undo()
            redis.start()


async def test_the_bell_says_that_it_may_have_missed_something(redis: RedisServer, tmp_path: Path) -> None:
    opened = Opened(tmp_path, redis.url(), "bell")
    async with opened() as one, opened() as two:
        with listening(one.bell) as ear:
            one.start()
            try:
                await ear.until_times("", 2, "the beginning of watching, in the Redis and in the folder")
                redis.stop()
                ear.calls.clear()
                redis.start()
                await ear.until("", "that it may have missed something")
                two.bell.ring("harbor/a.md")
                await ear.until("harbor/a.md", "a ring after the pause")
            finally:
                await one.stop()


async def test_a_ring_that_nobody_takes_harms_nobody(
    redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "PAUSES", ())
    async with Opened(tmp_path, redis.url(), "bell")() as store:
        redis.stop()
        try:
            with listening(store.bell) as ear, caplog.at_level(logging.CRITICAL):
                for number in range(5000):
                    store.bell.ring(f"harbor/{number}.md")
                assert len(ear.calls) == 5000
        finally:
            monkeypatch.undo()
            redis.start()


# The mark of its version


@pytest.mark.parametrize("part", ["bell", "leases"])
def test_keys_are_marked_with_their_version_once(part: str, redis: RedisServer, tmp_path: Path) -> None:
    url = redis.url("marked")
    for _ in range(2):
        open_store(tmp_path, Address(**{part: url})).close()
        assert int(redis.call("GET", "marked:schema")) == schema.VERSION
    redis.call("FLUSHALL")
    open_store(tmp_path, Address(**{part: url})).close()
    assert int(redis.call("GET", "marked:schema")) == schema.VERSION


@pytest.mark.parametrize("part", ["bell", "leases"])
async def test_keys_of_a_newer_program_are_left_alone(part: str, redis: RedisServer, tmp_path: Path) -> None:
    url = redis.url("newer")
    async with Opened(tmp_path, url, "leases")() as leases:
        held = await leases.acquire("job", "me", 600)
        redis.call("SET", "newer:schema", schema.VERSION + 6)
        before = {key: redis.call("DUMP", key) for key in redis.call("KEYS", "newer:*")}
        with pytest.raises(Conflict) as caught:
            open_store(tmp_path, Address(**{part: url}))
        assert str(schema.VERSION + 6) in caught.value.message and str(schema.VERSION) in caught.value.message
        assert caught.value.hint and "upgrade" in caught.value.hint
        assert {key: redis.call("DUMP", key) for key in redis.call("KEYS", "newer:*")} == before
        assert await leases.current("job") == held
    redis.call("FLUSHALL")


def test_a_mark_that_is_something_else_is_said_to_be(redis: RedisServer, tmp_path: Path) -> None:
    for what in ("", "one", "-1", "9" * 5_000):
        redis.call("SET", "spoiled:schema", what)
        with pytest.raises(Corrupted) as caught:
            open_store(tmp_path, Address(leases=redis.url("spoiled")))
        assert caught.value.hint and "prefix" in caught.value.hint
        assert redis.call("GET", "spoiled:schema") == what.encode()


@pytest.mark.parametrize(
    "url",
    (
        *("", "redis", "http://localhost", "redis://localhost:no", "redis://h/0?prefix=a&prefix=b"),
        *("redis://h/0?prefix=a b", "redis://h/0?prefix=", "redis://h/0?no_such_option=1", "redis://:s3cret@[/0"),
    ),
)
def test_what_is_no_url_of_a_redis_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument) as caught:
        open_store(tmp_path, Address(leases=url))
    assert "s3cret" not in str(caught.value)


def test_a_missing_driver_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.driver.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    try:
        with pytest.raises(Unavailable, match=r"argosy\[redis\]"):
            open_store(tmp_path, Address(bell="redis://localhost"))
    finally:
        connection.driver.cache_clear()
