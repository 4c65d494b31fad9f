"""What becomes of mandates, in the log: granted, used, revoked, expired, a cap passed. Each change is told once.

The ledger holds what was told last. The event is written first, under a key that counts the changes of its mandate, so
that two processes, or one that died before it changed the ledger, tell the same change once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from anyio import to_thread

from argosy_core.budget.ledger import Breach, Ledger, Seen, explain_breach, period_of
from argosy_core.budget.ledgers import WRITER, Ledgers, reconcile_command, seen_in
from argosy_core.canonical import sha256_hex
from argosy_core.clock import Clock, rfc3339
from argosy_core.errors import ArgosyError, Conflict
from argosy_core.policy.mandates_model import Mandate
from argosy_core.policy.money import usd
from argosy_core.storage.base import Chain
from argosy_core.types import ActionClass, Verdict
from argosy_judge.cases import Case
from argosy_judge.hearing import Outcome
from argosy_judge.standing import Standing

PRIMITIVE = "mandate"
MAX_CONTRIBUTING = 50
ROUNDS = 20  # changes of others that are told while this process looks
_PURSE = "mandate:"
_UNTOLD = "the log of %s does not tell of its mandates: %s"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Change:
    """An event of one mandate's life, and what is known of it then."""

    mandate: str
    seen: Seen
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Told:
    """The mandates of which everything was told, and when the next of them ends."""

    mandates: Mapping[str, Mandate]
    next_end: datetime | None


class MandateEvents:
    """Tells of the mandates of every agent. Never raises: what cannot be written is told at the next judgment."""

    def __init__(self, ledgers: Ledgers, chain: Chain, clock: Clock) -> None:
        self._ledgers = ledgers
        self._chain = chain
        self._clock = clock
        self._told: dict[str, _Told] = {}

    def has_news(self, standing: Standing, case: Case | None) -> bool:
        """Whether there is anything to tell; what is asked on the way of every call, and touches no disk."""
        if case is not None and case.proposal.mandate is not None:
            return True
        told = self._told.get(standing.agent)
        if told is None:
            return True
        if told.next_end is not None and told.next_end <= self._clock.now():
            return True
        return told.mandates is not standing.mandates and told.mandates != standing.mandates

    async def tell(self, standing: Standing, case: Case | None, outcome: Outcome, proposal: str) -> None:
        """Write down what is new about the mandates of *standing*, and what the judgment on *case* makes of one."""
        try:
            await self._changes(standing)
            if case is not None and case.proposal.mandate is not None:
                await self._used(case, outcome, proposal)
                await self._capped(case.agent, case.breaches, case.situation.run, case.tool.full_name)
        except ArgosyError as error:
            logger.warning(_UNTOLD, standing.agent, error)

    async def tell_capped(self, agent: str, breaches: Sequence[Breach], run: str) -> None:
        """Write down which caps of mandates are among *breaches*, that *run* met before a model's call."""
        try:
            await self._capped(agent, breaches, run, None)
        except ArgosyError as error:
            logger.warning(_UNTOLD, agent, error)

    async def _changes(self, standing: Standing) -> None:
        agent, now = standing.agent, self._clock.now()
        if standing.mandate_faults or not self.has_news(standing, None):
            return
        if standing.mandates or (await to_thread.run_sync(self._ledgers.look, agent)).mandates:
            for _ in range(ROUNDS):
                seen = await self._last_seen(agent, standing)
                changes = list(_changes(seen, standing.mandates, now))
                if not changes:
                    break
                told = {change.mandate: await self._log(agent, change) for change in changes}
                await to_thread.run_sync(self._ledgers.change_now, agent, partial(_saw, told))
        ends = [m.expires_at for m in standing.mandates.values() if m.expires_at is not None and m.expires_at > now]
        self._told[agent] = _Told(standing.mandates, min(ends, default=None))

    async def _last_seen(self, agent: str, standing: Standing) -> Mapping[str, Seen]:
        """What was told last of each mandate, also by a process that died before the ledger knew."""
        seen = dict((await self._ledgers.current(agent)).mandates)
        for mandate in {*seen, *standing.mandates}:
            for _ in range(ROUNDS):
                entry = await self._chain.find(agent, WRITER, _key(mandate, seen.get(mandate, Seen()).number + 1))
                if entry is None:
                    break
                seen[mandate] = seen_in(entry.event)
        return seen

    async def _log(self, agent: str, change: _Change) -> Seen:
        """Write *change* down; what another process told under its number is what is seen then."""
        key = _key(change.mandate, change.seen.number)
        fields = {"primitive": PRIMITIVE, "mandate_id": change.mandate, "change": change.seen.number, **change.fields}
        try:
            await self._ledgers.log(agent, f"mandate.{change.seen.state}", fields, key=key)
        except Conflict:
            entry = await self._chain.find(agent, WRITER, key)
            return change.seen if entry is None else seen_in(entry.event)
        return change.seen

    async def _used(self, case: Case, outcome: Outcome, proposal: str) -> None:
        """One event for each call that a mandate was good for."""
        covered = outcome.decision.outcome is Verdict.ALLOW and outcome.decision.raw is Verdict.ALLOW
        if not covered or case.action_class is ActionClass.READ_ONLY:
            return
        mandate = case.standing.mandates.get(str(case.proposal.mandate))
        fields = {
            "primitive": PRIMITIVE, "mandate_id": case.proposal.mandate, "proposal_id": proposal,
            "run_id": case.situation.run, "tool_name": case.tool.full_name, "reservation_id": outcome.reservation,
            "tool_call_id": case.proposal.tool_call_id, "source_hash": mandate.source_hash if mandate else None,
        }  # fmt: skip
        await self._ledgers.log(case.agent, "mandate.used", fields, key=f"used:{proposal}")

    async def _capped(self, agent: str, breaches: Sequence[Breach], run: str | None, tool: str | None) -> None:
        """Tell of the caps of mandates among *breaches*: once for each cap, its period and what used it up."""
        capped = [breach for breach in breaches if breach.cap.purse.startswith(_PURSE)]
        if not capped:
            return
        ledger, now = await to_thread.run_sync(self._ledgers.look, agent), self._clock.now()
        for breach in capped:
            cap = breach.cap
            mandate, _, kind = cap.purse.removeprefix(_PURSE).rpartition(":")
            names = ledger.contributing(cap.purse, cap.period, now)
            fields = {
                "primitive": PRIMITIVE, "mandate_id": mandate, "cost_kind": kind, "period": cap.period, "run_id": run,
                "tool_name": tool, "cap_usd": usd(cap.limit), "spent_usd": usd(breach.spent),
                "outstanding_usd": usd(breach.outstanding), "wanted_usd": usd(breach.wanted), "source": cap.source,
                "contributing_reservation_ids": names[:MAX_CONTRIBUTING],
                "contributing_more": len(names) - MAX_CONTRIBUTING if len(names) > MAX_CONTRIBUTING else None,
                "summary": explain_breach(breach), "hint": _hint(agent, ledger, names, now),
            }  # fmt: skip
            mark = sha256_hex(" ".join(sorted(names)).encode())[:16]
            key = f"capped:{cap.purse}:{cap.period}:{period_of(cap.period, now)}:{cap.limit}:{mark}"
            try:
                await self._ledgers.log(agent, "mandate.cap_exceeded", fields, key=key)
            except Conflict:
                continue  # told already, of another call


def _changes(seen: Mapping[str, Seen], mandates: Mapping[str, Mandate], now: datetime) -> Iterator[_Change]:
    """What *mandates* are now and were not when they were *seen*."""
    for name, mandate in mandates.items():
        last = seen.get(name, Seen())
        state = "revoked" if mandate.state == "revoked" else "expired" if mandate.has_expired(now) else "granted"
        if state != last.state or (state == "granted" and mandate.source_hash != last.source_hash):
            yield _Change(name, Seen(last.number + 1, state, mandate.source_hash), _said_by(mandate, state))
    for name, last in seen.items():
        if name not in mandates and last.state == "granted":
            fields = {"source_hash": last.source_hash, "revocation_reason": "it is in no mandates.md any more"}
            yield _Change(name, Seen(last.number + 1, "revoked", last.source_hash), fields)


def _key(mandate: str, number: int) -> str:
    return f"mandate:{mandate}:{number}"


def _said_by(mandate: Mandate, state: str) -> dict[str, Any]:
    ends = None if mandate.expires_at is None else rfc3339(mandate.expires_at)
    fields: dict[str, Any] = {"source_hash": mandate.source_hash, "source": mandate.where, "scope": mandate.scope}
    if state == "revoked":
        return fields | {"revoked_at": mandate.revoked_at, "revocation_reason": mandate.revocation_reason}
    return fields | {"granted_by": mandate.granted_by, "granted_at": mandate.granted_at, "expires_at": ends}


def _saw(told: Mapping[str, Seen], ledger: Ledger) -> tuple[Ledger, None]:
    for mandate, seen in told.items():
        ledger = ledger.saw(mandate, seen)
    return ledger, None


def _hint(agent: str, ledger: Ledger, names: Sequence[str], now: datetime) -> str:
    """How the cap would be free again: by saying what came of that which nobody verified, first of all."""
    waiting = ledger.unverified(now)
    found = [name for name in names if name in waiting]
    if found:
        command = reconcile_command(agent, found[0], waiting[found[0]].amount)
        return f"nobody verified {len(found)} of these; say what each came to, the first by: {command}"
    return "what is open is settled by whoever holds it; else wait for the next period, or raise the cap"
