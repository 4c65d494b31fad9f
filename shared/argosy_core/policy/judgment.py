"""The words of judging, for whoever judges, enforces or records: failures, enforcement actions, amendments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from argosy_core.errors import ArgosyError
from argosy_core.types import Verdict

# In the metadata of a completion that a client made for a judge: what it cost, and why there is none.
COST_META = "argosy/cost_usd"
FAILURE_META = "argosy/failure"


def acted_key(question: str) -> str:
    """Under which the host logs, before it acts on the answer to *question*, that it does: one run gets it."""
    return f"acted:{question}"


ANSWER_CLAIM_SECONDS = 600.0
"""After which an answer that a run claimed and did not say it acts on is given out again: far more than a run needs."""


class EnforcementAction(StrEnum):
    """What was done about a verdict; one of these stands in every judgment event."""

    AUDIT_BYPASS = "audit_bypass"
    BLOCK_EXECUTED = "block_executed"
    ALLOW_EXECUTED = "allow_executed"
    ALLOW_PENDING_NEXT_JUDGE = "allow_pending_next_judge"
    REVISE_PENDING_SECOND_JUDGMENT = "revise_pending_second_judgment"
    REVISE_EXECUTED = "revise_executed"
    REVISE_INVALID_AMENDMENT = "revise_invalid_amendment"
    REVISE_LOOP_EXHAUSTED_BLOCKED = "revise_loop_exhausted_blocked"
    ESCALATE_PENDING = "escalate_pending"
    APPROVED_EXECUTED = "approved_executed"
    APPROVED_STALE_TOOL_DEFINITION = "approved_stale_tool_definition"
    DENIED = "denied"
    REDACTED = "redacted"
    AUTO_DECIDED_BLOCK = "auto_decided_block"
    AUTO_DECIDED_ALLOW = "auto_decided_allow"
    PROPOSAL_BODY_TAMPERED = "proposal_body_tampered"
    OPERATOR_REVISE_EXECUTED = "operator_revise_executed"
    OPERATOR_REVISE_INVALID_AMENDMENT = "operator_revise_invalid_amendment"


class Failure(StrEnum):
    """What can go wrong with judging itself; ``failure_policy`` of ``judges.md`` says what each becomes."""

    UNAVAILABLE = "JudgeUnavailable"
    POLICY_INVALID = "JudgePolicyInvalid"
    BUDGET_EXHAUSTED = "JudgeBudgetExhausted"
    PROPOSAL_INVALID = "JudgeProposalInvalid"
    AMENDED_PROPOSAL_REJECTED = "JudgeAmendedProposalRejected"


class Reversibility(StrEnum):
    """Whether an action can be undone."""

    REVERSIBLE = "reversible"
    REVERSIBLE_WITH_ARTIFACT = "reversible_with_artifact"
    IRREVERSIBLE = "irreversible"


class Provenance(StrEnum):
    """How far a note or a piece of evidence is to be believed."""

    LEGACY = "legacy"
    OBSERVED = "observed"
    INFERRED = "inferred"
    GENERATED = "generated"
    CONFIRMED = "confirmed"
    DISPUTED = "disputed"
    SUPERSEDED = "superseded"

    @property
    def weight(self) -> str:
        """What a judge is told it counts as."""
        if self is Provenance.CONFIRMED:
            return "instruction"
        if self is Provenance.OBSERVED:
            return "evidence"
        return "none" if self in (Provenance.DISPUTED, Provenance.SUPERSEDED) else "weak"


class JudgeError(ArgosyError):
    """Base of what a judge raises: the call does not run unless the failure policy says otherwise."""

    code = "blocked"
    failure = Failure.UNAVAILABLE


class JudgeUnavailable(JudgeError):
    """Raised when a judge gives no answer: in time, at all, or none that can be read."""

    code = "unavailable"
    retryable = True
    failure = Failure.UNAVAILABLE


class JudgeBudgetExhausted(JudgeError):
    """Raised when the judge itself may spend no more."""

    code = "budget_exhausted"
    failure = Failure.BUDGET_EXHAUSTED


class JudgeProposalInvalid(JudgeError):
    """Raised when a proposal cannot be judged as what it claims to be."""

    failure = Failure.PROPOSAL_INVALID


class JudgeAmendedProposalRejected(JudgeError):
    """Raised when what a judge or a person changed makes no proposal."""

    failure = Failure.AMENDED_PROPOSAL_REJECTED


class JudgePolicyInvalid(JudgeError):
    """Raised when a judge answers what it never declared, or revises without saying what."""

    code = "corrupted"
    failure = Failure.POLICY_INVALID


AMENDABLE = (
    "tool_name",
    "tool_arguments",
    "target_audience",
    "expected_consequence",
    "reversibility",
    "rollback_path",
    "appended_evidence",
    "judge_note",
)
"""All that a judge or a person may change of a proposal; never its reason, authorization, class or hashes."""


@dataclass(frozen=True, slots=True)
class BackendJudgment:
    """What a judge behind `JudgeBackend` answers."""

    outcome: Verdict
    reason: str
    amendment: Mapping[str, Any] | None = None
    model_id: str | None = None
    cost_usd: float | None = None
