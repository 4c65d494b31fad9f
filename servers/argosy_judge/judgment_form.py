"""What was decided, as the judgment that the host gets and logs."""

from __future__ import annotations

from typing import Any

from argosy_core.policy.judgment import EnforcementAction
from argosy_core.policy.money import usd
from argosy_core.types import ClassPolicy, Verdict
from argosy_judge.hearing import Hearing, Outcome
from argosy_judge.models import Judgment
from argosy_judge.policy_decisions import policy_decision
from argosy_judge.seats import Heard

JUDGE_ID = "rules"


def judgment_of(hearing: Hearing, outcome: Outcome, latency_ms: float) -> Judgment:
    """The judgment on *hearing* with *outcome*, which took *latency_ms*."""
    standing, classified, decision = hearing.standing, hearing.classified, outcome.decision
    action_class, heard = classified.action_class, outcome.heard
    return Judgment(
        outcome=decision.outcome,
        reason=decision.reason,
        judge_id=JUDGE_ID if heard is None else "ensemble",
        policy_version=standing.version,
        enforcement_action=decision.enforcement_action,
        proposal_id=hearing.proposal_id,
        classification=action_class,
        classification_source=classified.source,
        class_policy=standing.policy.class_policy[action_class],
        class_policy_source=standing.policy.source[action_class],
        arguments_hash=hearing.case.proposal.arguments_hash if hearing.case else "",
        raw_outcome=decision.raw,
        synthesis_source=_synthesis(hearing, outcome),
        triggered_by=f"failure_policy:{decision.failure}" if decision.failure else None,
        policy_decision=policy_decision(hearing.case, decision.raw, decision.outcome, decision.reason),
        amendment=None if outcome.amendment is None else dict(outcome.amendment),
        amended=_amended(hearing, outcome),
        judges=[] if heard is None else _records(hearing, heard),
        reservation=outcome.reservation,
        model_id=heard.model_id if heard else None,
        latency_ms=latency_ms,
        cost_usd=usd(heard.cost_nano) if heard else 0.0,
    )


def _synthesis(hearing: Hearing, outcome: Outcome) -> str | None:
    """Which policy gave the verdict, where no judge did."""
    case, decision = hearing.case, outcome.decision
    if decision.failure is not None:
        return "failure_policy"
    if case is None or outcome.heard is not None or decision.outcome is not Verdict.ESCALATE:
        return None
    by_class = case.class_policy.rank >= ClassPolicy.JUDGE_REQUIRED.rank and case.proposal.mandate is None
    return "class_policy" if by_class else None


def _amended(hearing: Hearing, outcome: Outcome) -> dict[str, Any] | None:
    if outcome.amended is not None:
        return dict(outcome.amended)
    # What a person made of it is decided where it was put together; it may run now, or be asked about again.
    person = hearing.decision is not None and "revision_of" in hearing.raw
    acts = (EnforcementAction.OPERATOR_REVISE_EXECUTED, EnforcementAction.ESCALATE_PENDING)
    return dict(hearing.raw) if person and outcome.decision.enforcement_action in acts else None


def _records(hearing: Hearing, heard: Heard) -> list[dict[str, Any]]:
    """One part for each judge beyond the rules, as the log keeps one event for each."""
    rules = max((o.verdict for o in hearing.opinions), key=lambda v: v.rank, default=Verdict.ALLOW)
    pending = EnforcementAction.ALLOW_PENDING_NEXT_JUDGE
    records = [{"judge_id": JUDGE_ID, "outcome": rules.value, "enforcement_action": pending.value}]
    votes = [{"judge_id": vote.seat, "outcome": vote.outcome.value, "reason": vote.reason} for vote in heard.votes]
    if not votes:
        votes = [{"judge_id": "judge", "outcome": heard.opinion.verdict.value, "reason": heard.opinion.reason}]
    return [*records, *votes]
