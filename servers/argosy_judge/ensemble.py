"""All specialists' opinions as one decision: the strictest wins, and a failure blocks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from argosy_core.policy.judgment import EnforcementAction, Failure
from argosy_core.types import ActionClass, ClassPolicy, Verdict
from argosy_judge.cases import Case, Opinion, Specialist
from argosy_judge.specialists import source_of

CAPTURE = "memory_capture"  # writes down what a model's text holds, whoever it comes from

logger = logging.getLogger(__name__)

_ACTIONS = {
    Verdict.ALLOW: EnforcementAction.ALLOW_EXECUTED,
    Verdict.BLOCK: EnforcementAction.BLOCK_EXECUTED,
    Verdict.ESCALATE: EnforcementAction.ESCALATE_PENDING,
    Verdict.REVISE: EnforcementAction.REVISE_PENDING_SECOND_JUDGMENT,
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What comes of a case, and what the host does about it. *raw* is the verdict before it was turned into that."""

    outcome: Verdict
    reason: str
    enforcement_action: EnforcementAction
    raw: Verdict
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Ensemble:
    """*specialists* in the order they are asked, the cheapest first; the first block ends the asking."""

    specialists: Sequence[Specialist]

    def hear(self, case: Case) -> list[Opinion]:
        """The opinions of the specialists, up to the first block. Never raises."""
        opinions: list[Opinion] = []
        for specialist in self.specialists:
            opinions.append(_ask(specialist, case))
            if opinions[-1].verdict is Verdict.BLOCK:
                break
        return opinions

    def decide(self, case: Case) -> Decision:
        """The decision on *case* by the specialists alone. Never raises."""
        return conclude(case, self.hear(case))


def conclude(case: Case, opinions: Sequence[Opinion]) -> Decision:
    """The decision that *opinions* make together."""
    heard = list(opinions)
    blocked_already = any(opinion.verdict is Verdict.BLOCK for opinion in heard)
    settled = case.decided or any(opinion.decides for opinion in heard)
    if not settled and not blocked_already and _needs_a_judge(case):
        heard.append(Opinion(Verdict.ESCALATE, _nobody_decides(case)))
    return _audited(case, _decision(case, heard))


def blocked(reason: str, failure: Failure | None = None) -> Decision:
    """The decision on what cannot even be judged."""
    action = _ACTIONS[Verdict.BLOCK]
    return Decision(Verdict.BLOCK, reason, action, Verdict.BLOCK, failure)


def is_audited(case: Case) -> bool:
    """Whether the case is judged for the record only: reading, where the owner wants to see what judging would say."""
    return case.action_class is ActionClass.READ_ONLY and case.standing.policy.settings.read_audit_mode


def needs_model(case: Case) -> bool:
    """Whether the owner wants more than rules for this case."""
    captured = case.tool.own and case.tool.name == CAPTURE and case.standing.policy.settings.judge_captures
    return is_audited(case) or captured or case.class_policy is ClassPolicy.JUDGE_REQUIRED


def _audited(case: Case, decision: Decision) -> Decision:
    if not is_audited(case):
        return decision
    reason = f"reading is judged for the record only: {decision.reason}"
    return Decision(Verdict.ALLOW, reason, EnforcementAction.AUDIT_BYPASS, decision.raw, decision.failure)


def _ask(specialist: Specialist, case: Case) -> Opinion:
    try:
        opinion = specialist.evaluate(case)
    except Exception as error:
        logger.exception("specialist %s failed", specialist.name)
        reason = f"{Failure.UNAVAILABLE}: {specialist.name} failed ({type(error).__name__})"
        return Opinion(Verdict.BLOCK, reason, failure=Failure.UNAVAILABLE)
    if opinion.verdict is Verdict.REVISE:
        reason = f"{Failure.POLICY_INVALID}: {specialist.name} asks to revise and says not what"
        return Opinion(Verdict.BLOCK, reason, failure=Failure.POLICY_INVALID)
    return opinion


def _needs_a_judge(case: Case) -> bool:
    return (
        case.class_policy is ClassPolicy.JUDGE_REQUIRED
        and case.action_class.rank >= ActionClass.EXTERNAL_SIDE_EFFECT.rank
    )


def _nobody_decides(case: Case) -> str:
    where = f"{case.agent}/judges.md" if case.policy_source != "project_floor" else "judges.md"
    wanted = case.action_class
    return (
        f"{wanted} needs a judge ({case.class_policy}, {source_of(case)}) and none is configured that decides it, so a "
        f"person decides. To allow it without asking, set `{wanted}: allow_with_audit` in {where}, or give "
        f"{case.tool.full_name} its class under `## Tool classification` in {case.agent}/tools.md"
    )


def _decision(case: Case, opinions: Sequence[Opinion]) -> Decision:
    strictest = max(opinions, key=lambda opinion: opinion.verdict.rank)
    outcome = strictest.verdict
    if outcome is not Verdict.ALLOW:
        return Decision(outcome, strictest.reason, _ACTIONS[outcome], outcome, strictest.failure)
    bypassed = case.class_policy is ClassPolicy.BYPASS
    reason = "; ".join(dict.fromkeys(opinion.reason for opinion in opinions))
    action = EnforcementAction.AUDIT_BYPASS if bypassed else _ACTIONS[outcome]
    return Decision(outcome, reason, action, outcome)
