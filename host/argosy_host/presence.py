"""Which host processes live: a run names the one it is in, so that anybody can tell one that goes on from one whose
process was killed.

Each process holds one of a few numbered leases; a mark is ``host-<number>#<generation>``, and no mark comes twice.
"""

from __future__ import annotations

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError, Conflict, Unavailable
from argosy_core.storage.base import Lease, Leases

MAX_HOSTS = 64  # processes of one vault that run agents at the same time
LEASE_SECONDS = 120.0


class Presence:
    """This process among the hosts of a vault."""

    def __init__(self, leases: Leases, clock: Clock, holder: str) -> None:
        self._leases = leases
        self._clock = clock
        self._holder = holder
        self._lease: Lease | None = None

    @property
    def mark(self) -> str | None:
        """What runs of this process say; None before `enter` and after `leave`."""
        return f"{self._lease.name}#{self._lease.generation}" if self._lease else None

    async def enter(self, seconds: float = LEASE_SECONDS) -> None:
        """Be there for *seconds*, longer with `keep`. Raises Unavailable when there are too many hosts."""
        for number in range(1, MAX_HOSTS + 1):
            try:
                self._lease = await self._leases.acquire(f"host-{number}", self._holder, seconds)
                return
            except Conflict:
                continue
        raise Unavailable(f"{MAX_HOSTS} processes run agents of this vault already", hint="end some: mcp-host status")

    async def keep(self) -> None:
        """Stay until cancelled. A lease that was lost (a suspended machine) is taken anew."""
        while True:
            await self._clock.sleep(LEASE_SECONDS / 3)
            try:
                if self._lease is not None:
                    self._lease = await self._leases.renew(self._lease, LEASE_SECONDS)
            except Conflict:
                await self.enter()
            except ArgosyError:
                continue  # the store is away; the lease has two thirds left

    async def leave(self) -> None:
        """Say that this process is gone. Idempotent."""
        lease, self._lease = self._lease, None
        if lease is not None:
            await self._leases.release(lease)


async def is_alive(leases: Leases, mark: str) -> bool:
    """Whether the process of *mark* still holds its lease."""
    name, _, generation = mark.partition("#")
    try:
        lease = await leases.current(name)
    except ArgosyError:
        return True  # nobody can tell: then nothing is declared dead
    return lease is not None and str(lease.generation) == generation
