"""What the judge's tools return."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from argosy_core.serving.results import Page, Result
from argosy_core.types import ActionClass, ClassPolicy, Verdict

# Written into the schema where they stand: a client checks every result against it, and looking references up costs
# more than the judging itself.
Outcome = Annotated[Verdict, WithJsonSchema({"type": "string", "enum": list(Verdict)})]
Class = Annotated[ActionClass, WithJsonSchema({"type": "string", "enum": list(ActionClass)})]
Policy = Annotated[ClassPolicy, WithJsonSchema({"type": "string", "enum": list(ClassPolicy)})]
Condition = Literal["reserved", "alert", "fallback"]
Parts = Annotated[list[dict[str, Any]], WithJsonSchema({"type": "array"})]
Fields = Annotated[dict[str, Any], WithJsonSchema({"type": "object"})]


class Judgment(Result):
    """A verdict on one proposal. The host enforces and logs it; *question* is the host's to fill.

    *judges* has one part for each judge beyond the rules. With ``revise``, *amended* is the proposal to be judged next.
    What an allowed call costs is set aside as *reservation*, for the host to settle.
    """

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
    raw_outcome: Outcome
    synthesis_source: str | None = Field(default=None, description="class_policy or failure_policy, if one spoke")
    triggered_by: str | None = Field(default=None, description="failure_policy:NAME, after a failure of a judge")
    policy_decision: Fields | None = Field(default=None, description="The list or cap that decided against it")
    amendment: Fields | None = None
    amended: Fields | None = None
    judges: Annotated[list[dict[str, Any]], WithJsonSchema({"type": "array"})] = Field(
        default_factory=list[dict[str, Any]]
    )
    reservation: str | None = None
    question: None = None
    model_id: str | None = None
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
    asks: list[str] = Field(default_factory=list[str], description="Judges asked too, who may be stricter")
    fields: list[PolicyField]

    def render(self) -> str:
        return "\n".join([f"{self.tool}: {self.outcome}. {self.reason}", *(f.render() for f in self.fields)])


class Estimate(BaseModel):
    """What something is expected to cost at most."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    usd: float = Field(ge=0, strict=True, allow_inf_nan=False, description="US dollars, at most")
    tokens: int = Field(default=0, ge=0)
    payer: Literal["actor", "judge", "embed"] = "actor"
    model: str | None = None
    critical: bool = Field(default=False, description="Pass the caps of model.md; recorded")
    mandate: str | None = Field(default=None, description="Under this mandate, as token cost")
    ttl_s: float = Field(default=600, gt=0, le=86_400, description="Settled at the estimate after this")


class Reservation(Result):
    """Money set aside. *outcome* says under which conditions: all well, over a cap that only alerts, or by fallback."""

    reservation: str
    outcome: Condition
    usd: float
    until: str
    warnings: list[str] = Field(default_factory=list[str])

    def render(self) -> str:
        return "\n".join([f"{self.reservation}: {self.outcome}, ${self.usd:g} until {self.until}", *self.warnings])


class Settlement(Result):
    """A reservation that is settled."""

    reservation: str
    usd: float

    def render(self) -> str:
        return f"{self.reservation}: settled at ${self.usd:g}"


class BudgetLine(Result):
    """One purse in one period. Money in US dollars, tokens and actions as counts; *cap* null is no cap."""

    purse: str
    period: Literal["day", "month", "total"]
    spent: float
    outstanding: float
    cap: float | None = None
    left: float | None = None
    source: str | None = None

    def render(self) -> str:
        cap = "" if self.cap is None else f" of {self.cap:g} ({self.source}), {self.left:g} left"
        aside = f", {self.outstanding:g} set aside" if self.outstanding else ""
        return f"- {self.purse} {self.period}: {self.spent:g} spent{aside}{cap}"


class BudgetPage(Page[BudgetLine]):
    """What was spent, by purse and period."""


class GrantInfo(Result):
    """A grant as it stands."""

    grant: str
    holder: str
    state: Literal["active", "revoked", "ended"]
    allows: Fields = Field(description="tools, paths, hosts, models, max_class, mode, limits, until; left out: all")
    why: str | None = None
    by: str | None = None
    issued_at: str | None = None
    path: str

    def render(self) -> str:
        allows = ", ".join(f"{name}={value}" for name, value in self.allows.items())
        return f"- {self.grant} [{self.state}] {self.holder}: {allows}{f' ({self.why})' if self.why else ''}"


class GrantPage(Page[GrantInfo]):
    """Grants, by id. *problems* names files that cannot be read as one, and so grant nothing."""

    problems: list[str] = Field(default_factory=list[str])

    def render(self) -> str:
        return "\n".join([super().render(), *(f"! {problem}" for problem in self.problems)])
