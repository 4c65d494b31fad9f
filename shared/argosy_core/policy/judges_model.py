"""What ``judges.md`` can say (the older system's spec 28; the sections and keys are its own), with every default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

from argosy_core.types import ActionClass, ClassPolicy, Verdict

Validation = Literal["weakened", "strict"]
OnTimeout = Literal["allow", "block"]

NOTIFICATIONS = ("notify", "desk", "none")
"""Words for how the owner hears of an escalation: as ``fleet.md`` says under ``notify``, or at the desk alone."""

AXES = ("authorization", "privacy", "policy", "reversibility", "quality", "security")
AGGREGATIONS = ("any_block_blocks", "any_escalate_escalates", "majority_revise")
FAILURES = (
    "JudgeUnavailable",
    "JudgePolicyInvalid",
    "JudgeBudgetExhausted",
    "JudgeProposalInvalid",
    "JudgeAmendedProposalRejected",
)
CLASS_DEFAULTS: Mapping[ActionClass, ClassPolicy] = {
    ActionClass.READ_ONLY: ClassPolicy.BYPASS,
    ActionClass.REVERSIBLE_WRITE: ClassPolicy.ALLOW_WITH_AUDIT,
    ActionClass.EXTERNAL_SIDE_EFFECT: ClassPolicy.JUDGE_REQUIRED,
    ActionClass.HIGH_RISK: ClassPolicy.ESCALATE,
}


@dataclass(frozen=True, slots=True)
class Budget:
    """What the judge itself may spend, in US dollars; None is no limit."""

    daily_usd: float | None = None
    monthly_usd: float | None = None
    per_action_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Escalation:
    """Where a question to a person goes and what happens when nobody answers.

    *auto_decide_after_seconds* None is: it waits. *fallback_on_timeout* then decides, by class or ``default``.
    """

    destination: str = "vault/escalations/"
    operator_notification: str | None = None
    auto_decide_after_seconds: float | None = None
    fallback_on_timeout: Mapping[str, OnTimeout] = field(default_factory=lambda: {"default": "block"})
    resolution_poll_cycle_seconds: float = 60

    def on_timeout(self, action_class: ActionClass) -> OnTimeout:
        """What an unanswered question about *action_class* becomes."""
        return self.fallback_on_timeout.get(action_class, self.fallback_on_timeout["default"])


@dataclass(frozen=True, slots=True)
class FailurePolicy:
    """What a failure of the judge becomes: for every class alike (*flat*) or by class. What is not named blocks."""

    flat: Mapping[str, Verdict] = field(default_factory=dict[str, Verdict])
    by_class: Mapping[ActionClass, Mapping[str, Verdict]] = field(
        default_factory=dict[ActionClass, Mapping[str, Verdict]]
    )

    def outcome(self, failure: str, action_class: ActionClass) -> Verdict:
        """What *failure*, one of `FAILURES`, becomes for an action of this class."""
        return self.by_class.get(action_class, self.flat).get(failure, Verdict.BLOCK)


@dataclass(frozen=True, slots=True)
class MandateRules:
    """How mandates are checked (spec 29)."""

    suspicious_rebind_throttle_s: float = 60
    unextractable_target_action: Verdict = Verdict.BLOCK
    reservation_ttl_s: float = 60
    cap_breach_action_class_default: Mapping[ActionClass, Verdict] = field(default_factory=dict[ActionClass, Verdict])
    high_risk_lock_timeout_s: float = 30
    no_expiry_warning: bool = True


@dataclass(frozen=True, slots=True)
class JudgesFile:
    """One ``judges.md``. A field holds its default unless *lines* names its key (nested keys with a dot)."""

    where: str = "judges.md"
    backend: Literal["rules", "llm"] = "rules"
    model: str | None = None
    timeout_ms: int = 5000
    budget: Budget = field(default_factory=Budget)
    class_policy: Mapping[ActionClass, ClassPolicy] = field(default_factory=dict[ActionClass, ClassPolicy])
    specialist_composition: Mapping[str, str] = field(default_factory=dict[str, str])
    aggregation: tuple[str, ...] = AGGREGATIONS
    escalation: Escalation = field(default_factory=Escalation)
    failure_policy: FailurePolicy = field(default_factory=FailurePolicy)
    judge_captures: bool = False
    read_audit_mode: bool = False
    validation: Validation = "weakened"
    mandates: MandateRules = field(default_factory=MandateRules)
    lines: Mapping[str, int] = field(default_factory=dict[str, int])

    def line(self, key: str) -> int:
        """The line that sets *key*; 1 when none does."""
        return self.lines.get(key, 1)


KEYS = tuple(f.name for f in fields(JudgesFile) if f.name not in ("where", "lines"))
BUDGET_KEYS = tuple(f.name for f in fields(Budget))
ESCALATION_KEYS = tuple(f.name for f in fields(Escalation))
MANDATE_KEYS = tuple(f.name for f in fields(MandateRules))
