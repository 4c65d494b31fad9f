"""Stores that break a promise, and which the conformance suites must find out."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from argosy_core.clock import Clock, SystemClock
from argosy_core.ids import SystemIds
from argosy_core.storage.base import Lease, Store
from argosy_core.storage.composed import ComposedStore
from argosy_core.storage.document_leases import lease_end
from argosy_core.testing.openers import files
from argosy_core.vault import Vault


class GenerousLeases:
    """Leases that everybody gets."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._generation = 0

    async def acquire(self, name: str, holder: str, ttl_seconds: float) -> Lease:
        self._generation += 1
        token = SystemIds().random(16).hex()
        return Lease(name, holder, token, self._generation, lease_end(self._clock, ttl_seconds))

    async def renew(self, lease: Lease, ttl_seconds: float) -> Lease:
        return Lease(lease.name, lease.holder, lease.token, lease.generation, lease_end(self._clock, ttl_seconds))

    async def release(self, lease: Lease) -> None:
        return None

    async def current(self, name: str) -> Lease | None:
        return None


def generous(folder: str, clock: Clock | None = None) -> Store:
    """Files, with leases that everybody gets."""
    return ComposedStore(files(folder, clock), leases=GenerousLeases(clock or SystemClock()))


def unlocked(folder: str, clock: Clock | None = None) -> Store:
    """Files whose logs nobody locks; for processes that do nothing else."""
    lock = Vault.lock

    def lock_others(vault: Vault, name: str, wait_seconds: float = 10.0) -> AbstractContextManager[None]:
        return nullcontext() if name.endswith("/log") else lock(vault, name, wait_seconds)

    Vault.lock = lock_others  # type: ignore[method-assign]
    return files(folder, clock)
