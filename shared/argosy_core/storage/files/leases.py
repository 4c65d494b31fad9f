"""Leases as small JSON files: ``_fleet/leases/<name>.json``. Generations survive release, so they are kept."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from anyio import to_thread

from argosy_core.canonical import sha256_hex
from argosy_core.clock import Clock, parse_time, rfc3339
from argosy_core.errors import Conflict, Corrupted, InvalidArgument, NotFound
from argosy_core.ids import Ids
from argosy_core.names import shorten, slug
from argosy_core.storage.base import Lease
from argosy_core.vault import Vault

FOLDER = "_fleet/leases"
MAX_NAME_CHARS = 120
MAX_STEM_BYTES = 120


class FileLeases:
    """`Leases` over a vault. The clock only says when to try; the generation says who wins."""

    def __init__(self, vault: Vault, clock: Clock, ids: Ids) -> None:
        self._vault = vault
        self._clock = clock
        self._ids = ids

    async def acquire(self, name: str, holder: str, ttl_seconds: float) -> Lease:
        return await to_thread.run_sync(self._acquire, name, holder, ttl_seconds)

    async def renew(self, lease: Lease, ttl_seconds: float) -> Lease:
        return await to_thread.run_sync(self._renew, lease, ttl_seconds)

    async def release(self, lease: Lease) -> None:
        await to_thread.run_sync(self._release, lease)

    async def current(self, name: str) -> Lease | None:
        return await to_thread.run_sync(self._current, name)

    def _acquire(self, name: str, holder: str, ttl_seconds: float) -> Lease:
        with self._vault.lock(_path(name)):
            last = self._read(name)
            if last is not None and last.token and last.expires_at > self._clock.now():
                raise Conflict(
                    f"{name} is held by {last.holder} until {rfc3339(last.expires_at)}",
                    hint="wait, or ask the holder to release it",
                    holder=last.holder,
                    generation=last.generation,
                )
            generation = last.generation + 1 if last else 1
            return self._write(Lease(name, holder, self._ids.random(16).hex(), generation, self._end(ttl_seconds)))

    def _renew(self, lease: Lease, ttl_seconds: float) -> Lease:
        with self._vault.lock(_path(lease.name)):
            self._check_current(lease)
            return self._write(
                Lease(lease.name, lease.holder, lease.token, lease.generation, self._end(ttl_seconds)),
            )

    def _release(self, lease: Lease) -> None:
        with self._vault.lock(_path(lease.name)):
            last = self._read(lease.name)
            if last is not None and last.token == lease.token:
                self._write(Lease(lease.name, lease.holder, "", lease.generation, self._clock.now()))

    def _current(self, name: str) -> Lease | None:
        last = self._read(name)
        return last if last is not None and last.token and last.expires_at > self._clock.now() else None

    def _check_current(self, lease: Lease) -> None:
        last = self._read(lease.name)
        if last is None or last.token != lease.token or last.expires_at <= self._clock.now():
            raise Conflict(
                f"the lease on {lease.name} ended",
                hint="acquire it again before going on",
                generation=last.generation if last else 0,
            )

    def _end(self, ttl_seconds: float) -> datetime:
        if not 0 < ttl_seconds <= 86_400:
            raise InvalidArgument("a lease lasts more than 0 and at most 86400 seconds")
        return self._clock.now() + timedelta(seconds=ttl_seconds)

    def _read(self, name: str) -> Lease | None:
        try:
            data = self._vault.read(_path(name)).data
        except NotFound:
            return None
        try:
            found: dict[str, Any] = json.loads(data)
            return Lease(
                name, found["holder"], found["token"], int(found["generation"]), parse_time(found["expires_at"])
            )
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as exc:
            raise Corrupted(f"{_path(name)} is not a lease", hint="mend or remove the file", path=_path(name)) from exc

    def _write(self, lease: Lease) -> Lease:
        fields = {
            "name": lease.name,
            "holder": lease.holder,
            "token": lease.token,
            "generation": lease.generation,
            "expires_at": lease.expires_at.isoformat(),
        }
        self._vault.replace(_path(lease.name), json.dumps(fields, indent=2, ensure_ascii=False).encode() + b"\n")
        return lease


def _path(name: str) -> str:
    stem = slug(name)
    if not stem or len(name) > MAX_NAME_CHARS:
        raise InvalidArgument(f"a lease needs a name of 1 to {MAX_NAME_CHARS} characters with a letter or digit in it")
    # Two names with one slug must not share a lease, so a name that is not its own slug carries its bytes.
    if stem != name or len(stem.encode()) > MAX_STEM_BYTES:
        stem = f"{shorten(stem, MAX_STEM_BYTES)}~{sha256_hex(name.encode('utf-8', 'surrogatepass'))[:32]}"
    return f"{FOLDER}/{stem}.json"
