"""Setting money aside before it is spent, and settling it after: what the budget tools do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from anyio import to_thread

from argosy_core.budget.caps import fleet_caps, grant_caps, judge_caps, mandate_caps, model_caps, purses_of
from argosy_core.budget.ledger import Amount, Breach, Cap, Ledger, Open, Period, explain_breach
from argosy_core.budget.ledgers import Ledgers, end_fields
from argosy_core.clock import rfc3339
from argosy_core.errors import BudgetExhausted, Conflict, Corrupted, InvalidArgument, NotFound, PermissionDenied
from argosy_core.policy.errors import PolicyInvalid
from argosy_core.policy.grant_file import ID
from argosy_core.policy.mandates_model import mandate_of_grant
from argosy_core.policy.model_md import ModelFile, parse_model
from argosy_core.policy.money import nano_usd, usd
from argosy_core.serving.config import ServerConfig
from argosy_core.types import Caller, Role
from argosy_core.views.vault_reader import VaultReader
from argosy_judge.fallbacks import NO_FALLBACK, FallbackModel, fallback_model
from argosy_judge.grant_store import GrantStore
from argosy_judge.mandate_events import MandateEvents
from argosy_judge.mandate_locks import MandateLocks
from argosy_judge.models import BudgetLine, Condition, Estimate, Reservation, Settlement
from argosy_judge.policy_decisions import of_cap
from argosy_judge.refusals import Refused, fields_of, tell_refused
from argosy_judge.standing import StandingPolicies

_PERIODS: tuple[Period, ...] = ("day", "month", "total")


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Everything that bears on one piece of spending. *fallback* is what a cap may leave instead of its model."""

    caps: tuple[Cap, ...]
    purses: tuple[str, ...]
    fallback: FallbackModel = NO_FALLBACK


class Budgets:
    """The ledgers with the caps that hold over them."""

    def __init__(
        self,
        config: ServerConfig,
        policies: StandingPolicies,
        grants: GrantStore,
        ledgers: Ledgers,
        mandates: MandateEvents,
        locks: MandateLocks,
    ) -> None:
        self._clock = config.clock
        self._ids = config.ids
        self._reader = VaultReader(config.store.files)
        self._policies = policies
        self._grants = grants
        self._ledgers = ledgers
        self._mandates = mandates
        self._locks = locks

    async def reserve(self, caller: Caller, agent: str, run: str, estimate: Estimate) -> Reservation:
        """Set *estimate* aside. Raises BudgetExhausted with what to do instead, Corrupted for a cap that cannot be
        read, and what a grant that does not count raises; that is in the log then."""
        try:
            return await self._reserve(caller, agent, run, estimate)
        except Refused as refused:
            await tell_refused(self._ledgers, agent, refused, fields_of(run, estimate))
            raise refused.error from None

    async def _reserve(self, caller: Caller, agent: str, run: str, estimate: Estimate) -> Reservation:
        bounds = await to_thread.run_sync(self._bounds, caller, agent, run, estimate)
        now = self._clock.now()
        name, until = self._ids.random(8).hex(), now + timedelta(seconds=estimate.ttl_s)
        amount = Amount(nano_usd(estimate.usd), estimate.tokens)
        passed_over: list[Breach] = []

        def set_aside(ledger: Ledger) -> tuple[Ledger, tuple[list[Breach], list[tuple[Cap, float]], str]]:
            passed_over[:] = breaches = ledger.breaches(amount, bounds.caps, now)
            _refuse(breaches, estimate, bounds.fallback)
            day = ledger.today(bounds.purses, now)
            ledger = ledger.reserve(name, Open(amount, bounds.purses, day, until, run))
            warned, passed = ledger.warn(bounds.caps, now)
            return warned, (breaches, passed, day)

        try:
            breaches, passed, day = await self._ledgers.change(agent, set_aside)
        except Refused:
            await self._mandates.tell_capped(agent, passed_over, run)
            raise
        fields = {
            "reservation_id": name, "run_id": run, "payer": estimate.payer, "model": estimate.model,
            "mandate_id": estimate.mandate, "estimate": [*amount], "purses": [*bounds.purses], "day": day,
            "until": rfc3339(until), "critical": estimate.critical or None,
        }  # fmt: skip
        await self._ledgers.log(agent, "budget.reserve", fields)
        warnings = await self._ledgers.warn(agent, run, passed, now.date().isoformat())
        over = {breach.cap.action for breach in breaches}
        outcome: Condition = "reserved" if not over else "fallback" if over == {"fallback"} else "alert"
        over_caps = [f"over its cap: {explain_breach(breach)}" for breach in breaches]
        return Reservation(
            reservation=name, outcome=outcome, usd=usd(amount.nano), until=rfc3339(until), warnings=over_caps + warnings
        )

    async def settle(
        self, agent: str, name: str, actual_usd: float | None, tokens: int, role: Role = Role.HOST
    ) -> Settlement:
        """Settle a reservation at what it came to, None for the estimate; again with the same sum changes nothing.

        By an operator that is how a cost is reconciled that nobody verified. Raises NotFound, and Conflict when it was
        settled at another sum, which is in the log then.
        """
        try:
            return await self._settle(agent, name, actual_usd, tokens, role)
        except Conflict as error:
            fields = {"denying_layer": "per_call", "axis": "settlement", "attempted_value": actual_usd}
            await tell_refused(self._ledgers, agent, Refused(error, **fields), {"reservation_id": name})
            raise

    async def _settle(self, agent: str, name: str, actual_usd: float | None, tokens: int, role: Role) -> Settlement:
        ledger = await self._ledgers.current(agent)
        known = ledger.open.get(name) or ledger.closed.get(name)
        if known is None:
            raise NotFound("there is no such reservation", hint="it was settled long ago, or never made")
        amount = known.amount
        if actual_usd is not None:
            nano = nano_usd(actual_usd, "actual")
            amount = Amount(nano, tokens or (amount.tokens if nano else 0), amount.actions if nano else 0)
        late = name in ledger.closed
        settled = ledger.settle(name, amount)  # refuses what cannot be, before anything is logged
        if settled is not ledger:
            fields = end_fields(name, known, amount)
            if late:
                fields |= {"was": [*known.amount], "tool_name": known.external}
            if late and role is Role.OPERATOR:
                fields |= {"by": role.value, "reconciled": "committed" if amount.nano else "rolled_back"}
            kind, key = ("budget.correct", "correct") if late else ("budget.settle", "settle")
            await self._log_end(agent, kind, fields, f"{key}:{name}")

        def close(found: Ledger) -> tuple[Ledger, None]:
            return found.settle(name, amount), None

        await to_thread.run_sync(self._ledgers.change_now, agent, close)
        await self._locks.give(agent, known.purses, name)
        return Settlement(reservation=name, usd=usd(amount.nano))

    async def _log_end(self, agent: str, kind: str, fields: Mapping[str, Any], key: str) -> None:
        try:
            await self._ledgers.log(agent, kind, fields, key=key)
        except Conflict as error:
            raise Conflict("this reservation was settled at another amount", hint="what was settled stands") from error

    async def ledger(self, agent: str) -> Ledger:
        """The agent's ledger, with what ran out of time settled."""
        return await self._ledgers.current(agent)

    async def lines(self, caller: Caller, agent: str, scope: str) -> list[BudgetLine]:
        """What was spent of the purses that *scope* names, with their caps. Raises InvalidArgument."""
        run = scope.removeprefix("run:") if scope.startswith("run:") else None
        caps = await to_thread.run_sync(self._caps_in, caller, agent, run)
        ledger = await self._ledgers.current(agent)
        now = self._clock.now()
        purses = dict.fromkeys(
            [*(cap.purse for cap in caps), *ledger.purses, *(p for o in ledger.open.values() for p in o.purses)]
        )
        wanted = [purse for purse in purses if scope in ("all", purse) or purse.startswith(f"{scope}:")]
        if not wanted and scope not in ("all", "actor", "judge", "embed") and ":" not in scope:
            raise InvalidArgument(
                f"there is no budget {scope[:80]!r}", hint="all, actor, judge, embed, run:ID, grant:ID or mandate:ID"
            )
        return [line for purse in wanted for line in _lines(ledger, purse, caps, now)]

    # Caps

    def _bounds(self, caller: Caller, agent: str, run: str, estimate: Estimate) -> _Bounds:
        try:
            return self._all_bounds(caller, agent, run, estimate)
        except Refused as refused:
            costs = estimate.usd > 0 or estimate.payer != "actor" or estimate.mandate is not None
            if costs or not isinstance(refused.error, Corrupted):
                raise
        # What costs nothing goes on while a cap on money cannot be read; its tokens still count.
        caps = self._run_caps(caller, agent, run)
        return _Bounds(tuple(caps), purses_of("actor", caps, None, "token"))

    def _all_bounds(self, caller: Caller, agent: str, run: str, estimate: Estimate) -> _Bounds:
        standing = self._policies.current(agent)
        for fault in standing.gate:
            error = Corrupted(f"{fault.message}; nothing is spent until it is mended", hint=fault.hint)
            raise Refused(error, denying_layer="policy", axis="cost_cap", source=fault.file)
        settings = standing.policy.settings
        if estimate.payer == "judge":
            caps = list(judge_caps(settings.budget, settings.where))
            each = settings.budget.per_action_usd
            if each is not None and nano_usd(estimate.usd) > nano_usd(each):
                over = BudgetExhausted(
                    f"one judgment may cost ${each:g} ({settings.where})", hint="ask less of the judge"
                )
                raise Refused(
                    over, denying_layer="policy", axis="cost_cap", cap_dimension="per_action_usd",
                    attempted_value=estimate.usd, effective_cap=each, source=settings.where,
                )  # fmt: skip
            return _Bounds(tuple(caps), purses_of("judge", caps, None, "token"))
        model = self._model(agent)
        try:
            caps = [*fleet_caps(standing.rules.cost_caps), *model_caps(agent, model)]
        except Corrupted as error:
            raise Refused(error, denying_layer="model_md", axis="cost_cap", source=f"{agent}/model.md") from error
        caps += self._run_caps(caller, agent, run)
        if estimate.mandate is not None:
            caps += self._mandate_caps(agent, estimate.mandate)
        fallback = fallback_model(agent, model, standing.rules.model, self._grants.of_run(caller.grant, agent))
        return _Bounds(tuple(caps), purses_of(estimate.payer, caps, estimate.mandate, "token"), fallback)

    def _run_caps(self, caller: Caller, agent: str, run: str) -> list[Cap]:
        """As `_grant_caps`, where something is to be spent."""
        try:
            return self._grant_caps(caller, agent, run)
        except (NotFound, PermissionDenied, InvalidArgument, PolicyInvalid) as error:
            name = caller.grant if caller.grant and ID.fullmatch(caller.grant) else None
            raise Refused(error, denying_layer="per_call", axis="grant", attempted_value=name) from error

    def _grant_caps(self, caller: Caller, agent: str, run: str | None) -> list[Cap]:
        grant = self._grants.of_run(caller.grant, agent)
        name = caller.grant if caller.grant and ID.fullmatch(caller.grant) else None
        return list(grant_caps(grant, name, run))

    def _mandate_caps(self, agent: str, name: str) -> list[Cap]:
        mandate = self._policies.current(agent).mandates.get(name)
        if mandate is None and ID.fullmatch(name) and (found := self._grants.find(name)) is not None:
            mandate = mandate_of_grant(found[0], f"grant {name}", found[1]) if found[0].holder == agent else None
        if mandate is None or mandate.state == "revoked" or mandate.has_expired(self._clock.now()):
            error = BudgetExhausted(
                f"no mandate {name[:80]!r} is in force for {agent}", hint="spend without it, or renew it"
            )
            raise Refused(error, denying_layer="mandate", axis="mandate", attempted_value=name[:80])
        return list(mandate_caps(mandate, "token"))

    def _caps_in(self, caller: Caller, agent: str, run: str | None) -> list[Cap]:
        standing = self._policies.current(agent)
        settings = standing.policy.settings
        caps = [*fleet_caps(standing.rules.cost_caps), *model_caps(agent, self._model(agent))]
        caps += [*judge_caps(settings.budget, settings.where), *self._grant_caps(caller, agent, run)]
        for mandate in standing.mandates.values():
            caps += [cap for kind in ("token", "external") for cap in mandate_caps(mandate, kind)]
        return caps

    def _model(self, agent: str) -> ModelFile:
        data = self._reader.read(f"{agent}/model.md")
        return parse_model((data or b"").decode("utf-8", "replace"))


def _refuse(breaches: Sequence[Breach], estimate: Estimate, other: FallbackModel) -> None:
    """Raises Refused where a cap that was passed does not let this spending through."""
    for breach in breaches:
        cap = breach.cap
        own = cap.source.endswith("/model.md")
        if (own and estimate.critical) or cap.action == "alert":
            continue
        if cap.action != "fallback" or other.name is None:
            raise _refused(breach, "wait for the next period, or have the cap raised")
        if other.is_in_use(estimate.model):
            continue
        if other.barred is not None:
            raise _refused(breach, other.remedy, f"; {other.barred}", **other.decision)
        raise _refused(breach, f"use {other.name}", model=other.name, **other.decision)


def _refused(breach: Breach, hint: str, why: str = "", model: str | None = None, **decision: Any) -> Refused:
    """The refusal by a cap; *model* is the other one that it leaves."""
    cap = breach.cap
    error = BudgetExhausted(
        explain_breach(breach) + why, hint=hint, action="fallback" if model else "skip", model=model, purse=cap.purse,
        period=cap.period, cap=cap.limit, spent=breach.spent, outstanding=breach.outstanding, source=cap.source,
    )  # fmt: skip
    return Refused(error, **of_cap(breach), **decision)


def _lines(ledger: Ledger, purse: str, caps: Sequence[Cap], now: datetime) -> list[BudgetLine]:
    counted = purse.endswith((":tokens", ":actions"))
    show = float if counted else usd
    found: list[BudgetLine] = []
    for period in _PERIODS:
        spent, aside = ledger.spent(purse, period, now), ledger.outstanding(purse, period, now)
        bearing = [cap for cap in caps if (cap.purse, cap.period) == (purse, period)]
        tightest = min(bearing, key=lambda cap: cap.limit, default=None)
        if tightest is None and not spent and not aside:
            continue
        left = None if tightest is None else show(max(0, tightest.limit - spent - aside))
        found.append(
            BudgetLine(
                purse=purse,
                period=period,
                spent=show(spent),
                outstanding=show(aside),
                left=left,
                cap=None if tightest is None else show(tightest.limit),
                source=tightest.source if tightest else None,
            )
        )
    return found
