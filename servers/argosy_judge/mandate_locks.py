"""One call of the highest class at a time under a mandate, from its judgment until it is settled (spec 29).

The lock is a lease of the store: it holds between processes and hosts, and ends by itself with who died holding it.
"""

from __future__ import annotations

from argosy_core.canonical import sha256_hex
from argosy_core.clock import Clock
from argosy_core.errors import Conflict, Unavailable
from argosy_core.storage.base import Leases
from argosy_core.types import ActionClass
from argosy_judge.cases import Case, Charge

TIMED_OUT = "mandate_high_risk_lock_timeout"
PAUSE_SECONDS = 0.05
_PURSE = "mandate:"


class MandateLocks:
    """The locks of a vault's mandates."""

    def __init__(self, leases: Leases, clock: Clock) -> None:
        self._leases = leases
        self._clock = clock

    async def take(self, case: Case, holder: str) -> None:
        """Lock the mandate that *case* cites for the reservation *holder*. Raises Unavailable when it is not had in
        time, with `TIMED_OUT` in its message."""
        mandates = case.standing.policy.settings.mandates
        deadline = self._clock.monotonic() + mandates.high_risk_lock_timeout_s
        name = _lease_name(case.agent, str(case.proposal.mandate))
        while True:
            try:
                await self._leases.acquire(name, holder, mandates.reservation_ttl_s)
                return
            except Conflict:
                if self._clock.monotonic() >= deadline:
                    raise Unavailable(
                        f"{TIMED_OUT}: another call of high risk under {case.proposal.mandate} has not ended",
                        hint="try again when it has",
                    ) from None
            await self._clock.sleep(PAUSE_SECONDS)

    async def give(self, agent: str, purses: tuple[str, ...], holder: str) -> None:
        """Unlock what the reservation *holder*, made out of *purses*, has locked; nothing where it has not."""
        for mandate in dict.fromkeys(purse.split(":")[1] for purse in purses if purse.startswith(_PURSE)):
            lease = await self._leases.current(_lease_name(agent, mandate))
            if lease is not None and lease.holder == holder:
                await self._leases.release(lease)


def is_locked(case: Case) -> bool:
    """Whether *case*, once it is allowed, runs under the lock of its mandate."""
    return case.proposal.mandate is not None and case.action_class is ActionClass.HIGH_RISK


def locking_charge(case: Case) -> Charge:
    """A charge of nothing, so that a call that costs nothing is settled too, and with that unlocked."""
    return Charge(0, (f"{_PURSE}{case.proposal.mandate}:external",), (), case.proposal.mandate)


def _lease_name(agent: str, mandate: str) -> str:
    return f"mandate-{sha256_hex(f'{agent}/{mandate}'.encode())[:32]}"
