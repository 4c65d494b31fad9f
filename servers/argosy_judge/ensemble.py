"""All specialists' opinions as one decision: the strictest wins, and a failure blocks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from argosy_core.types import ActionClass, ClassPolicy, Verdict
from argosy_judge.cases import Case, Opinion, Specialist
from argosy_judge.specialists import source_of

logger = logging.getLogger(__name__)

_ACTIONS = {
    Verdict.ALLOW: "allow_executed",
    Verdict.BLOCK: "block_executed",
    Verdict.ESCALATE: "escalate_pending",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What comes of a case, and what the host does about it."""

    outcome: Verdict
    reason: str
    enforcement_action: str


@dataclass(frozen=True, slots=True)
class Ensemble:
    """*specialists* in the order they are asked, the cheapest first; the first block ends the asking."""

    specialists: Sequence[Specialist]

    def decide(self, case: Case) -> Decision:
        """The decision on *case*. Never raises."""
        opinions: list[Opinion] = []
        for specialist in self.specialists:
            opinions.append(_ask(specialist, case))
            if opinions[-1].verdict is Verdict.BLOCK:
                break
        if not any(opinion.decides for opinion in opinions) and _needs_a_judge(case):
            opinions.append(Opinion(Verdict.ESCALATE, _nobody_decides(case)))
        return _decision(case, opinions)


def blocked(reason: str) -> Decision:
    """The decision on what cannot even be judged."""
    return Decision(Verdict.BLOCK, reason, _ACTIONS[Verdict.BLOCK])


def _ask(specialist: Specialist, case: Case) -> Opinion:
    try:
        opinion = specialist.evaluate(case)
    except Exception as error:
        logger.exception("specialist %s failed", specialist.name)
        return Opinion(Verdict.BLOCK, f"JudgeUnavailable: {specialist.name} failed ({type(error).__name__})")
    if opinion.verdict is Verdict.REVISE:
        return Opinion(Verdict.BLOCK, f"JudgePolicyInvalid: {specialist.name} asks to revise and says not what")
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
        return Decision(outcome, strictest.reason, _ACTIONS[outcome])
    bypassed = case.class_policy is ClassPolicy.BYPASS
    reason = "; ".join(dict.fromkeys(opinion.reason for opinion in opinions))
    return Decision(outcome, reason, "audit_bypass" if bypassed else _ACTIONS[outcome])
