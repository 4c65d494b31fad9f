"""Leases as keys of a Redis, each step one script. A generation is at least the server's clock in microseconds, so that
it only grows even when Redis lost everything: whoever fences by generations stays right, and the older holder loses."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any, cast

from anyio import to_thread

from argosy_core.canonical import sha256_hex
from argosy_core.clock import Clock
from argosy_core.ids import Ids
from argosy_core.storage.base import Lease
from argosy_core.storage.document_leases import check_holder, ended, held, lease_end, lease_path
from argosy_core.storage.redis.connection import RedisConnection

KEPT_MS = 3 * 86_400_000  # longer than any lease; what is forgotten after that comes back with a higher generation
SEEN_KEPT = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class RedisLeases:
    """`Leases` over a Redis; every call is one hop to a worker thread."""

    def __init__(self, connection: RedisConnection, clock: Clock, ids: Ids) -> None:
        self._connection = connection
        self._clock = clock
        self._ids = ids
        self._seen: dict[str, int] = {}  # the newest generations that this handle gave
        self._guard = threading.Lock()

    async def acquire(self, name: str, holder: str, ttl_seconds: float) -> Lease:
        check_holder(holder)
        key, now, end = self._key(name), self._clock.now(), lease_end(self._clock, ttl_seconds)
        token = self._ids.random(16).hex()
        arguments = (_bytes(holder), token, _number(now), _number(end), self._seen.get(key, 0) + 1, KEPT_MS)
        taken, *rest = await self._run("acquire", key, *arguments)
        if not taken:
            expires_at = _moment(rest[2])
            raise held(Lease(name, _text(rest[0]), "", int(rest[1]), expires_at))
        self._remember(key, int(rest[0]))
        return Lease(name, holder, token, int(rest[0]), end)

    async def renew(self, lease: Lease, ttl_seconds: float) -> Lease:
        now, end = self._clock.now(), lease_end(self._clock, ttl_seconds)
        done, *rest = await self._run(
            "renew", self._key(lease.name), _bytes(lease.token), _number(now), _number(end), KEPT_MS
        )
        if not done:
            raise ended(lease.name, int(rest[0]))
        return Lease(lease.name, lease.holder, lease.token, lease.generation, end)

    async def release(self, lease: Lease) -> None:
        await self._run("release", self._key(lease.name), _bytes(lease.token), KEPT_MS)

    async def current(self, name: str) -> Lease | None:
        key = self._key(name)

        def look(client: Any) -> list[bytes | None]:
            found: list[bytes | None] = client.hmget(key, "token", "expires", "holder", "generation")
            return found

        token, expires, holder, generation = await to_thread.run_sync(self._connection.run, look)
        if not token or expires is None or holder is None or generation is None:
            return None
        end = _moment(expires)
        return Lease(name, _text(holder), _text(token), int(generation), end) if end > self._clock.now() else None

    def _key(self, name: str) -> str:
        lease_path(name)  # the names that may be are those of every substrate
        return f"{self._connection.prefix}:lease:{sha256_hex(name.encode('utf-8', 'surrogatepass'))}"

    async def _run(self, script: str, key: str, *arguments: Any) -> Sequence[Any]:
        def run(client: Any) -> Sequence[Any]:
            answer: Any = client.register_script(_script(script))(keys=[key], args=arguments)
            return cast("Sequence[Any]", answer)

        return await to_thread.run_sync(self._connection.run, run)

    def _remember(self, key: str, generation: int) -> None:
        with self._guard:
            self._seen.pop(key, None)
            self._seen[key] = generation
            if len(self._seen) > SEEN_KEPT:
                del self._seen[next(iter(self._seen))]


@cache
def _script(name: str) -> str:
    return resources.files("argosy_core.storage.redis").joinpath(f"{name}.lua").read_text(encoding="utf-8")


def _number(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(number: bytes) -> datetime:
    return _EPOCH + int(number) * _MICROSECOND


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
