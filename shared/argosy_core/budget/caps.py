"""Which caps bear on a piece of spending: the fleet's, the agent's own, its grant's, its mandate's, the judge's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from argosy_core.budget.ledger import Cap, Period
from argosy_core.errors import Corrupted
from argosy_core.policy.grants import Grant
from argosy_core.policy.judges_model import Budget
from argosy_core.policy.mandates_model import PERIODS, Mandate
from argosy_core.policy.model_md import Action, CostGuardrails, ModelFile
from argosy_core.policy.money import nano_usd
from argosy_core.policy.policy_md import Caps

Payer = Literal["actor", "judge", "embed"]
WARN_AT = (0.5, 0.8)
_PERIODS: dict[str, Period] = {"daily": "day", "monthly": "month", "cumulative": "total"}


def purses_of(payer: Payer, caps: Iterable[Cap], mandate: str | None, kind: str) -> tuple[str, ...]:
    """The purses that something *payer* pays comes out of: its own, and every one that a cap is on."""
    base = {"judge": ["judge"], "actor": ["actor"], "embed": ["embed", "actor"]}[payer]
    named = [f"mandate:{mandate}:{kind}"] if mandate else []
    return tuple(dict.fromkeys([*base, *named, *(cap.purse for cap in caps)]))


def fleet_caps(caps: Caps) -> Iterator[Cap]:
    """The caps of ``policy.md``: nothing passes them."""
    if caps.daily_usd is not None:
        yield Cap("actor", "day", caps.daily_usd, "policy.md", WARN_AT)
    if caps.monthly_usd is not None:
        yield Cap("actor", "month", caps.monthly_usd, "policy.md", WARN_AT)


def model_caps(agent: str, file: ModelFile) -> Iterator[Cap]:
    """The caps of an agent's ``model.md`` with what happens when one is reached.

    Raises Corrupted while its cost block cannot be read: nothing may be spent until it can.
    """
    for problem in file.errors:
        raise Corrupted(
            f"{agent}/model.md line {problem.line}: {problem.message}", hint=problem.fix or "mend the cost block"
        )
    rails: CostGuardrails = file.cost_guardrails
    if not rails.enabled:
        return
    source = f"{agent}/model.md"
    stated: tuple[tuple[Period, float | None, Action], ...] = (
        ("day", rails.daily_cap_usd, rails.daily_cap_action),
        ("month", rails.monthly_cap_usd, rails.monthly_cap_action),
    )
    for period, cap, action in stated:
        if cap is not None:
            yield Cap("actor", period, nano_usd(cap), source, tuple(rails.warning_thresholds), action)


def grant_caps(grant: Grant, name: str | None, run: str | None) -> Iterator[Cap]:
    """The sums of a grant: what it gives in all (by its id), and to one run."""
    limits = grant.limits
    if name is not None:
        purse, source = f"grant:{name}", f"grant {name}"
        sums: tuple[tuple[Period, int | None], ...] = (
            ("day", limits.usd_day),
            ("month", limits.usd_month),
            ("total", limits.usd_total),
        )
        yield from (Cap(purse, period, cap, source, WARN_AT) for period, cap in sums if cap is not None)
    if run is not None:
        source = f"grant {name}" if name else "the run's grant"
        for purse, cap in (
            (f"run:{run}", limits.usd_run),
            (f"run:{run}:tokens", limits.tokens_run),
            (f"run:{run}:actions", limits.actions),
        ):
            if cap is not None:
                yield Cap(purse, "total", cap, source)


def mandate_caps(mandate: Mandate, kind: str) -> Iterator[Cap]:
    """The caps of a mandate on spending of *kind*, ``token`` or ``external``."""
    for name in PERIODS:
        cap = mandate.constraints.caps.get(f"{name}_{kind}")
        if cap is not None:
            yield Cap(f"mandate:{mandate.id}:{kind}", _PERIODS[name], cap, f"mandate {mandate.id}", WARN_AT)


def judge_caps(budget: Budget, where: str) -> Iterator[Cap]:
    """What the judge itself may spend."""
    sums: tuple[tuple[Period, float | None], ...] = (("day", budget.daily_usd), ("month", budget.monthly_usd))
    for period, cap in sums:
        if cap is not None:
            yield Cap("judge", period, nano_usd(cap), where, WARN_AT)
