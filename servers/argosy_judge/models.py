"""What the judge's tools return."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, WithJsonSchema

from argosy_core.serving.results import Result
from argosy_core.types import ActionClass, ClassPolicy, Verdict

# Written into the schema where they stand: a client checks every result against it, and looking references up costs
# more than the judging itself.
Outcome = Annotated[Verdict, WithJsonSchema({"type": "string", "enum": list(Verdict)})]
Class = Annotated[ActionClass, WithJsonSchema({"type": "string", "enum": list(ActionClass)})]
Policy = Annotated[ClassPolicy, WithJsonSchema({"type": "string", "enum": list(ClassPolicy)})]


class Judgment(Result):
    """A verdict on one proposal. The host enforces and logs it; *question* is the host's to fill."""

    outcome: Outcome
    reason: str
    judge_id: str
    policy_version: str = Field(description="Digests of the policy files the verdict rests on")
    enforcement_action: str
    proposal_id: str
    classification: Class
    classification_source: str
    class_policy: Policy
    class_policy_source: str
    arguments_hash: str = Field(description="SHA-256 that binds the arguments as judged; empty when they are none")
    amendment: None = None
    question: None = None
    latency_ms: float
    cost_usd: float = 0.0

    def render(self) -> str:
        return f"{self.outcome}: {self.reason}"


class ToolClass(Result):
    """The class of one tool, with where it was said."""

    server: str
    tool: str
    class_: Class = Field(alias="class")
    source: str

    def render(self) -> str:
        return f"{self.tool} ({self.server}) is {self.class_}, from {self.source}"


class PolicyField(Result):
    """One field of a policy and the file or default that set it."""

    field: str
    value: str | list[str]
    source: str

    def render(self) -> str:
        value = ", ".join(self.value) or "none" if isinstance(self.value, list) else self.value
        return f"- {self.field}: {value} ({self.source})"


class Explanation(Result):
    """What the policy says of one call, without making it."""

    tool: str
    outcome: Outcome
    reason: str
    policy_version: str
    fields: list[PolicyField]

    def render(self) -> str:
        return "\n".join([f"{self.tool}: {self.outcome}. {self.reason}", *(f.render() for f in self.fields)])
