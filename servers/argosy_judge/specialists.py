"""The specialists that need no model and no place: what the policy files, the run's grant and its mode say."""

from __future__ import annotations

from dataclasses import dataclass

from argosy_core.budget.caps import fleet_caps, grant_caps, purses_of
from argosy_core.budget.ledger import Amount, explain_breach
from argosy_core.policy.judgment import Failure
from argosy_core.types import ActionClass, ClassPolicy, Mode, Verdict
from argosy_judge.cases import Case, Charge, Opinion
from argosy_judge.policy_decisions import listed

_ALLOW = Verdict.ALLOW


@dataclass(frozen=True, slots=True)
class Faults:
    """Blocks what is above reading while a policy file that bears on it cannot be read, or the grant does not count."""

    name: str = "faults"

    def evaluate(self, case: Case) -> Opinion:
        faults = (*case.standing.gate, *(() if case.tool.own else case.standing.foreign))
        if case.action_class is ActionClass.READ_ONLY:
            return Opinion(_ALLOW, "every policy file reads" if not faults else "reading goes on")
        if faults:
            hint = f" ({faults[0].hint})" if faults[0].hint else ""
            return _failed(case, Failure.POLICY_INVALID, f"{faults[0].message}{hint}")
        if case.situation.grant_fault is not None:
            return Opinion(Verdict.BLOCK, f"the run's grant does not count: {case.situation.grant_fault}")
        return Opinion(_ALLOW, "every policy file reads")


@dataclass(frozen=True, slots=True)
class BudgetRules:
    """Whether what the call costs, as the owner states it in ``tools.md``, fits under every cap. An allowed call's cost
    is set aside before the verdict is given."""

    name: str = "budget"

    def evaluate(self, case: Case) -> Opinion:
        situation = case.situation
        tools = case.standing.tools
        nano = tools.costs.get(case.tool.full_name, tools.costs.get(case.tool.name, 0)) if tools else 0
        counted = situation.grant.limits.actions is not None and case.action_class is not ActionClass.READ_ONLY
        if not nano and not counted:
            return Opinion(_ALLOW, "it costs nothing")
        caps = [*grant_caps(situation.grant, situation.grant_id, situation.run)]
        caps = (
            [*fleet_caps(case.standing.rules.cost_caps), *caps] if nano else [c for c in caps if "actions" in c.purse]
        )
        charge = Charge(nano, purses_of("actor", caps, None, "external"), tuple(caps), counts_action=counted)
        breaches = situation.ledger().breaches(Amount(nano, 0, int(counted)), caps, situation.now)
        case.charges.append(charge)
        if breaches:
            case.breaches.extend(breaches)
            return Opinion(Verdict.BLOCK, f"{Failure.BUDGET_EXHAUSTED}: {explain_breach(breaches[0])}")
        return Opinion(_ALLOW, "its cost fits under every cap")


@dataclass(frozen=True, slots=True)
class ModeRules:
    """What the run's mode makes of the class: dry runs do nothing, others ask before they reach beyond the vault."""

    name: str = "standing"

    def evaluate(self, case: Case) -> Opinion:
        mode, wanted = case.situation.grant.mode, case.action_class
        if mode is Mode.FREE or wanted is ActionClass.READ_ONLY:
            return Opinion(_ALLOW, f"the run is {mode}")
        if mode is Mode.DRY:
            return Opinion(Verdict.BLOCK, "the run is dry: nothing above reading is done, it is to be simulated")
        if wanted is ActionClass.REVERSIBLE_WRITE or case.decided:
            return Opinion(_ALLOW, f"the run is {mode}")
        said = "and nobody is known to watch it" if mode is Mode.WATCHED else "and proposes instead of acting"
        return Opinion(Verdict.ESCALATE, f"the run is {mode} {said}: a person decides")


@dataclass(frozen=True, slots=True)
class ClassRules:
    """What the fleet's lists, the run's grant and the class policy say of the tool."""

    name: str = "policy"

    def evaluate(self, case: Case) -> Opinion:
        by_list = listed(case)
        refused = by_list.reason if by_list else _beyond_grant(case)
        if refused is not None:
            return Opinion(Verdict.BLOCK, refused)
        said = f"{case.action_class} is {case.class_policy} ({source_of(case)})"
        if case.class_policy is ClassPolicy.ESCALATE and not case.decided:
            return Opinion(Verdict.ESCALATE, f"{said}: a person decides")
        return Opinion(_ALLOW, said)


def _beyond_grant(case: Case) -> str | None:
    grant, name = case.situation.grant, case.tool.full_name
    if case.action_class is ActionClass.READ_ONLY and grant.tools is None and not grant.denied:
        return None
    if not grant.allows_tool(name):
        return f"the run's grant does not hold the tool {name}"
    if case.action_class.rank > grant.max_class.rank:
        return f"the run's grant goes up to {grant.max_class}, and {name} is {case.action_class}"
    if grant.has_ended(case.situation.now):
        return "the run's grant is over"
    return None


def _failed(case: Case, failure: Failure, message: str) -> Opinion:
    return Opinion(Verdict.BLOCK, f"{failure}: {message}", failure=failure)


def source_of(case: Case) -> str:
    """Where the class policy of *case* is said: a file of the vault, or ``default``."""
    return {"judges.md": f"{case.agent}/judges.md", "project_floor": "judges.md"}.get(
        case.policy_source, case.policy_source
    )
