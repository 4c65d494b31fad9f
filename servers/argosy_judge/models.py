"""What the judge's tools return."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from argosy_core.serving.results import Result
from argosy_core.types import ActionClass, ClassPolicy, Verdict


class Judgment(Result):
    """A verdict on one proposal. The host enforces and logs it; *question* is the host's to fill."""

    outcome: Verdict
    reason: str
    judge_id: str
    policy_version: str = Field(description="Digests of the policy files the verdict rests on")
    enforcement_action: str
    proposal_id: str
    classification: ActionClass
    classification_source: str
    class_policy: ClassPolicy
    class_policy_source: str
    arguments_hash: str | None = Field(default=None, description="SHA-256 that binds the arguments as judged")
    amendment: dict[str, Any] | None = None
    question: str | None = None
    latency_ms: float
    cost_usd: float = 0.0

    def render(self) -> str:
        return f"{self.outcome}: {self.reason}"


class ToolClass(Result):
    """The class of one tool, with where it was said."""

    server: str
    tool: str
    class_: ActionClass = Field(alias="class", serialization_alias="class")
    source: str

    def render(self) -> str:
        return f"{self.tool} ({self.server}) is {self.class_}, from {self.source}"


class PolicyField(Result):
    """One field of a policy and the file or default that set it."""

    field: str
    value: Any
    source: str

    def render(self) -> str:
        value = ", ".join(self.value) or "none" if isinstance(self.value, list) else self.value
        return f"- {self.field}: {value} ({self.source})"


class Explanation(Result):
    """What the policy says of one call, without making it."""

    tool: str
    outcome: Verdict
    reason: str
    policy_version: str
    fields: list[PolicyField]

    def render(self) -> str:
        return "\n".join([f"{self.tool}: {self.outcome}. {self.reason}", *(f.render() for f in self.fields)])
