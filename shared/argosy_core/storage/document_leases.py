"""Leases as small JSON documents: ``_fleet/leases/<name>.json``. Generations survive release, so they are kept."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from argosy_core.canonical import sha256_hex
from argosy_core.clock import Clock, parse_time, rfc3339
from argosy_core.errors import Conflict, Corrupted, InvalidArgument
from argosy_core.ids import Ids
from argosy_core.names import is_encodable, shorten, slug
from argosy_core.storage.base import Lease

FOLDER = "_fleet/leases"
MAX_NAME_CHARS = 120
MAX_STEM_BYTES = 120
Step = Callable[[bytes | None], bytes | None]
"""What becomes of a document, given what it holds; None for nothing."""


class DocumentLeases(ABC):
    """`Leases` over documents. The clock only says when to try; the generation says who wins."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids

    @abstractmethod
    async def _step(self, path: str, step: Step) -> None:
        """Read *path* and write what *step* makes of it, durably and with nobody in between."""

    @abstractmethod
    async def _read(self, path: str) -> bytes | None:
        """What *path* holds; None when it is not there."""

    async def acquire(self, name: str, holder: str, ttl_seconds: float) -> Lease:
        check_holder(holder)

        def acquire(last: Lease | None) -> Lease:
            if last is not None and self._holds(last):
                raise held(last)
            generation = last.generation + 1 if last else 1
            return Lease(name, holder, self._ids.random(16).hex(), generation, lease_end(self._clock, ttl_seconds))

        return await self._change(name, acquire)

    async def renew(self, lease: Lease, ttl_seconds: float) -> Lease:
        def renew(last: Lease | None) -> Lease:
            if last is None or last.token != lease.token or last.expires_at <= self._clock.now():
                raise ended(lease.name, last.generation if last else 0)
            return Lease(lease.name, lease.holder, lease.token, lease.generation, lease_end(self._clock, ttl_seconds))

        return await self._change(lease.name, renew)

    async def release(self, lease: Lease) -> None:
        path = lease_path(lease.name)

        def step(data: bytes | None) -> bytes | None:
            last = _lease_in(lease.name, path, data)
            if last is None or last.token != lease.token:
                return None
            return _text_of(Lease(lease.name, lease.holder, "", lease.generation, self._clock.now()))

        await self._step(path, step)

    async def current(self, name: str) -> Lease | None:
        path = lease_path(name)
        last = _lease_in(name, path, await self._read(path))
        return last if last is not None and self._holds(last) else None

    async def _change(self, name: str, change: Callable[[Lease | None], Lease]) -> Lease:
        path = lease_path(name)
        made: list[Lease] = []

        def step(data: bytes | None) -> bytes:
            made.append(change(_lease_in(name, path, data)))
            return _text_of(made[-1])

        await self._step(path, step)
        return made[-1]

    def _holds(self, lease: Lease) -> bool:
        return bool(lease.token) and lease.expires_at > self._clock.now()


def held(lease: Lease) -> Conflict:
    """What is raised to others while *lease* has not ended."""
    return Conflict(
        f"{lease.name} is held by {lease.holder} until {rfc3339(lease.expires_at)}",
        hint="wait, or ask the holder to release it",
        holder=lease.holder,
        generation=lease.generation,
    )


def ended(name: str, generation: int) -> Conflict:
    """What is raised to who held *name*, of which *generation* is the newest."""
    return Conflict(f"the lease on {name} ended", hint="acquire it again before going on", generation=generation)


def check_holder(holder: str) -> None:
    """Raises InvalidArgument for what no document can name."""
    if not is_encodable(holder):
        raise InvalidArgument("a holder's name holds what UTF-8 cannot (a lone surrogate)", hint="give another name")


def lease_end(clock: Clock, ttl_seconds: float) -> datetime:
    """When a lease taken now ends. Raises InvalidArgument."""
    if not 0 < ttl_seconds <= 86_400:
        raise InvalidArgument("a lease lasts more than 0 and at most 86400 seconds")
    return clock.now() + timedelta(seconds=ttl_seconds)


def _lease_in(name: str, path: str, data: bytes | None) -> Lease | None:
    if data is None:
        return None
    try:
        found: dict[str, Any] = json.loads(data)
        return Lease(name, found["holder"], found["token"], int(found["generation"]), parse_time(found["expires_at"]))
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as exc:
        raise Corrupted(f"{path} is not a lease", hint="mend or remove the file", path=path) from exc


def _text_of(lease: Lease) -> bytes:
    fields = {
        "name": lease.name,
        "holder": lease.holder,
        "token": lease.token,
        "generation": lease.generation,
        "expires_at": lease.expires_at.isoformat(),
    }
    return json.dumps(fields, indent=2, ensure_ascii=False).encode() + b"\n"


def lease_path(name: str) -> str:
    """The document of the lease *name*. Raises InvalidArgument for what may not be one."""
    stem = slug(name)
    if not stem or len(name) > MAX_NAME_CHARS or not is_encodable(name):
        hint = "name it after what it guards"
        raise InvalidArgument(
            f"a lease needs a name of 1 to {MAX_NAME_CHARS} characters with a letter or digit in it", hint=hint
        )
    # Two names with one slug must not share a lease, so a name that is not its own slug carries its bytes.
    if stem != name or len(stem.encode()) > MAX_STEM_BYTES:
        stem = f"{shorten(stem, MAX_STEM_BYTES)}~{sha256_hex(name.encode())[:32]}"
    return f"{FOLDER}/{stem}.json"
