"""Having a bound call judged, and what the host makes of the answer: anything but a clean verdict blocks.

A judge may answer with a changed call. That is bound anew and judged once more, by the same judges: they must allow
it as it stands then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from argosy_core.errors import ArgosyError
from argosy_core.policy.judgment import EnforcementAction as Act
from argosy_core.policy.judgment import Failure, JudgeAmendedProposalRejected
from argosy_core.policy.tool_schema import check_fit
from argosy_core.types import ActionClass, Role
from argosy_core.yamltext import is_map
from argosy_host.catalog import Catalog, ToolInfo
from argosy_host.gating.binding import Binding
from argosy_host.providers.base import ToolCall
from argosy_host.results import CallOutcome
from argosy_host.runs import Run

# What a judge may say is done about its verdict; anything else becomes the first of its row.
_ENFORCED: Mapping[str, tuple[Act, ...]] = {
    "allow": (Act.ALLOW_EXECUTED, Act.AUDIT_BYPASS, Act.REVISE_EXECUTED, Act.OPERATOR_REVISE_EXECUTED),
    "revise": (Act.REVISE_PENDING_SECOND_JUDGMENT,),
    "escalate": (Act.ESCALATE_PENDING,),
    "block": (
        Act.BLOCK_EXECUTED,
        Act.REVISE_INVALID_AMENDMENT,
        Act.REVISE_LOOP_EXHAUSTED_BLOCKED,
        Act.OPERATOR_REVISE_INVALID_AMENDMENT,
    ),
}
_OF_THE_ACTOR = ("reason", "authorization", "side_channel_for_tool_call_id")  # no amendment changes these


@dataclass(frozen=True, slots=True)
class Ruling:
    """The judge's answer as the host acts on it."""

    verdict: str
    reason: str
    judgment: Mapping[str, Any]
    enforcement: str

    @property
    def is_answered(self) -> bool:
        """Whether a judge said anything at all."""
        return bool(self.judgment)

    @property
    def reservation(self) -> str | None:
        """What the judge set aside for the call, to be settled after it."""
        return self.judgment.get("reservation")

    @property
    def action_class(self) -> ActionClass:
        """What the judge classified the call as; the highest class where it did not say."""
        try:
            return ActionClass(str(self.judgment.get("classification")))
        except ValueError:
            return ActionClass.HIGH_RISK


class Judging:
    """Asks the judge on behalf of one run, and leaves each judgment in the log."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def judge(self, binding: Binding) -> tuple[Binding, Ruling]:
        """The ruling on *binding*, and what is bound now: the amended call where the judge revised it.

        Raises Unavailable when the log cannot be written.
        """
        proposal = proposal_of(binding)
        first = await self._ask(binding, proposal)
        await self._log(binding, proposal, first)
        if first.verdict != "revise":
            return binding, first
        return await self._again(binding, proposal, first)

    async def check_approved(self, binding: Binding) -> Ruling:
        """Whether what a person approved may still run by every rule, its cost set aside; nothing is logged."""
        amendment: dict[str, Any] = {"judge_note": "approved by a person", "appended_evidence": []}
        ruling = await self._ask(binding, {**proposal_of(binding), "amendment": amendment})
        if ruling.verdict == "allow":
            return ruling
        return replace(ruling, verdict="block", enforcement=Act.BLOCK_EXECUTED)

    async def judge_revised(
        self, binding: Binding, amendment: Mapping[str, Any], question: str
    ) -> tuple[Binding, Ruling]:
        """The ruling on what a person made of *binding* in answer to *question*, and what is bound now.

        Nothing is logged when no judge answered.
        """
        proposal = {**proposal_of(binding), "amendment": dict(amendment)}
        ruling = await self._ask(None, proposal)
        if not ruling.is_answered:
            return binding, ruling
        try:
            binding, ruling = self._person_bound(binding, ruling)
        except ArgosyError as error:
            ruling = replace(ruling, verdict="block", reason=_rejected(error))
        if ruling.verdict == "block":
            ruling = replace(ruling, enforcement=Act.OPERATOR_REVISE_INVALID_AMENDMENT)
        elif ruling.verdict == "allow":
            ruling = replace(ruling, enforcement=Act.OPERATOR_REVISE_EXECUTED)
        await self._log(binding, {**proposal, "revision_of": question}, ruling)
        return binding, ruling

    def _person_bound(self, binding: Binding, ruling: Ruling) -> tuple[Binding, Ruling]:
        if ruling.verdict == "revise":
            raise JudgeAmendedProposalRejected(f"the judge wants to revise it again: {ruling.reason}")
        if ruling.verdict == "block":
            return binding, ruling
        binding = rebind(self._run.fleet.catalog, ruling.judgment.get("amended"), binding.call_id)
        if ruling.judgment.get("arguments_hash") != binding.arguments_hash:
            raise JudgeAmendedProposalRejected("the judge judged other arguments")
        return binding, ruling

    async def _again(self, binding: Binding, before: Mapping[str, Any], first: Ruling) -> tuple[Binding, Ruling]:
        amended: Any = first.judgment.get("amended")
        try:
            second = rebind(self._run.fleet.catalog, amended, binding.call_id)
        except ArgosyError as error:
            rejected = Ruling("block", _rejected(error), first.judgment, Act.REVISE_INVALID_AMENDMENT)
            await self._log(binding, before, rejected)
            return binding, rejected
        kept = {name: before[name] for name in _OF_THE_ACTOR if name in before}
        stated = {name: value for name, value in amended.items() if name not in _OF_THE_ACTOR}
        proposal = {**stated, **kept, **proposal_of(second)}
        ruling = _bounded(first, await self._ask(second, proposal))
        await self._log(second, proposal, ruling)
        return second, ruling

    async def _ask(self, binding: Binding | None, proposal: Mapping[str, Any]) -> Ruling:
        asked = {**proposal, **facts_of(self._run)}
        try:
            outcome = await self._run.fleet.call("judge_evaluate", {"proposal": asked}, self._run.token)
        except ArgosyError as error:
            outcome = CallOutcome(str(error), None, is_error=True, code=error.code)
        ruling = _ruling(outcome, binding)
        if outcome.is_error and binding is not None and self._only_records(binding.tool):
            return Ruling("allow", ruling.reason, {"raw_outcome": "block"}, Act.AUDIT_BYPASS)
        return ruling

    def _only_records(self, tool: ToolInfo) -> bool:
        """Whether *tool* only reads and is judged for the record: then it is called even when the judge is away."""
        return tool.action_class is ActionClass.READ_ONLY and self._run.judged_reads.only_records(tool.name)

    async def _log(self, binding: Binding, proposal: Mapping[str, Any], ruling: Ruling) -> None:
        """One event for each judge that was heard; the last one's says what is done."""
        judgment = ruling.judgment
        shown = {name: value for name, value in proposal.items() if name != "input_schema"}
        fields = {
            "primitive": "judgment",
            "event": "judgment",
            "parent_run_id": self._run.origin.parent,
            "proposal_id": judgment.get("proposal_id"),
            "policy_version": judgment.get("policy_version"),
            "tool_name": binding.tool.name,
            "proposal": {
                **shown,
                **facts_of(self._run),
                "classification": judgment.get("classification"),
                "classification_source": judgment.get("classification_source"),
            },
            "binding": binding.as_json(),
            "model_id": judgment.get("model_id"),
            "synthesis_source": judgment.get("synthesis_source"),
            "triggered_by": judgment.get("triggered_by"),
            "escalation_queue_id": judgment.get("proposal_id") if ruling.verdict == "escalate" else None,
            "cost_source": "judge",
        }
        said = {"outcome": ruling.verdict, "reason": ruling.reason}
        if judgment.get("amendment") is not None:
            said["amendment"] = judgment["amendment"]
        whole = {
            "judge_id": judgment.get("judge_id", "framework"),
            "judgment": said,
            "raw_outcome": judgment.get("raw_outcome", judgment.get("outcome")),
            "enforcement_action": ruling.enforcement,
            "policy_decision": judgment.get("policy_decision"),
            "latency_ms": judgment.get("latency_ms"),
            "cost_usd": judgment.get("cost_usd", 0.0),
            "reservation": ruling.reservation,
        }
        for part in _parts(judgment.get("judges") or ()):
            await self._run.log("judgment", {**fields, **part})
        await self._run.log("judgment", {**fields, **whole})


def proposal_of(binding: Binding) -> dict[str, Any]:
    """What the judge is asked about."""
    return {
        **binding.said,
        "tool_name": binding.tool.name,
        "tool_arguments": binding.arguments,
        "tool_call_id": binding.call_id,
        "server": binding.tool.server,
        "input_schema": binding.tool.input_schema,
    }


def facts_of(run: Run) -> dict[str, Any]:
    """What the judge is told of the run itself, whatever its model says: what there is of it."""
    facts: dict[str, Any] = {
        "actor_model_id": run.model,
        "delegate_chain": list(run.origin.chain),
        "loaded_skills": [{"name": name, "file_hash": digest} for name, digest in run.skills.items()],
    }
    return {name: value for name, value in facts.items() if value}


def callable_tool(catalog: Catalog, name: object) -> ToolInfo | None:
    """The tool *name*, if there is one that an agent may call."""
    tool = catalog.get(name) if isinstance(name, str) else None
    return tool if tool is not None and tool.role is Role.AGENT else None


def rebind(catalog: Catalog, amended: object, call_id: str) -> Binding:
    """The binding of a changed call. Raises JudgeAmendedProposalRejected, InvalidArgument."""
    fields: Mapping[str, Any] = amended if is_map(amended) else {}
    tool = callable_tool(catalog, fields.get("tool_name"))
    if tool is None:
        raise JudgeAmendedProposalRejected(f"there is no tool {str(fields.get('tool_name'))[:80]!r}")
    arguments: Any = fields.get("tool_arguments")
    if not is_map(arguments):
        raise JudgeAmendedProposalRejected("tool_arguments is not an object")
    binding = Binding.of(ToolCall(call_id, tool.name, arguments), tool)
    # The judge knew the first tool's schema only, and that tool may be another one now.
    check_fit(binding.arguments, tool.input_schema, "weakened")
    return binding


def _parts(judges: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is logged of each judge that others were heard after: the last one's event is the whole judgment's."""
    return [
        {
            "judge_id": part.get("judge_id"),
            "judgment": {"outcome": part.get("outcome"), "reason": part.get("reason", "")},
            "raw_outcome": part.get("outcome"),
            "enforcement_action": Act.ALLOW_PENDING_NEXT_JUDGE,
        }
        for part in judges
        if part.get("enforcement_action") == Act.ALLOW_PENDING_NEXT_JUDGE
    ]


def _ruling(outcome: CallOutcome, binding: Binding | None) -> Ruling:
    """What the host makes of the judge's answer on *binding*; None for what only the judge has put together yet."""
    judgment = outcome.structured
    if outcome.is_error or judgment is None:
        return Ruling("block", f"the judge did not answer: {outcome.text}", {}, Act.BLOCK_EXECUTED)
    if binding is not None and judgment.get("arguments_hash") not in (binding.arguments_hash, ""):
        return Ruling("block", "the judge judged other arguments", judgment, Act.BLOCK_EXECUTED)
    verdict, reason = str(judgment.get("outcome")), str(judgment.get("reason", ""))
    known = _ENFORCED.get(verdict)
    if known is None or (verdict == "allow" and not judgment.get("arguments_hash")):
        return Ruling("block", f"the judge answered {verdict!r}: {reason}", judgment, Act.BLOCK_EXECUTED)
    said = judgment.get("enforcement_action")
    return Ruling(verdict, reason, judgment, str(said) if said in known else known[0])


def _bounded(first: Ruling, second: Ruling) -> Ruling:
    """The second ruling: a third there is not, and no class fell."""
    if second.verdict == "revise":
        reason = f"revise_loop_exhausted: {second.reason}"
        return Ruling("block", reason, second.judgment, Act.REVISE_LOOP_EXHAUSTED_BLOCKED)
    if second.verdict == "allow" and second.action_class.rank < first.action_class.rank:
        return Ruling("block", "the revision lowered the class", second.judgment, Act.REVISE_INVALID_AMENDMENT)
    if second.verdict == "allow" and second.enforcement != Act.AUDIT_BYPASS:
        return replace(second, enforcement=Act.REVISE_EXECUTED)
    return second


def _rejected(error: ArgosyError) -> str:
    return f"{Failure.AMENDED_PROPOSAL_REJECTED}: {error.message}"
