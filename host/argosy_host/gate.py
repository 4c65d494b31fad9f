"""The gate: every call above reading is bound by hash, judged, logged, and then run exactly as judged.

Failure blocks: when the judge or the log does not answer, nothing above reading happens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from anyio import to_thread

from argosy_core.canonical import arguments_hash, canonical_json
from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError
from argosy_core.policy.judgment import EnforcementAction
from argosy_core.secrets.placeholders import has_placeholder, inject
from argosy_core.types import ActionClass
from argosy_host.catalog import ToolInfo
from argosy_host.progress import Progress
from argosy_host.providers.base import ToolCall, ToolReturn
from argosy_host.results import CallOutcome
from argosy_host.runs import SUMMARY_CHARS, Run, ToolUse

MAX_RETURN_CHARS = 40_000  # what one call may put into a model's context


@dataclass(frozen=True, slots=True)
class Binding:
    """What was judged and nothing else is what runs: the arguments are a private copy."""

    call_id: str
    tool: ToolInfo
    arguments: Mapping[str, Any]
    arguments_hash: str

    @classmethod
    def of(cls, call: ToolCall, tool: ToolInfo) -> Binding:
        """Bind *call*. Raises InvalidArgument when its arguments are not canonical JSON."""
        frozen = canonical_json(call.arguments)
        arguments: dict[str, Any] = json.loads(frozen)
        return cls(call.id, tool, arguments, arguments_hash(arguments))

    def as_json(self) -> dict[str, str]:
        """The binding as an event holds it."""
        return {
            "tool_call_id": self.call_id,
            "tool_definition_hash": self.tool.definition_hash,
            "arguments_hash": self.arguments_hash,
        }


@dataclass(frozen=True, slots=True)
class Ruling:
    """The judge's answer as the host acts on it."""

    verdict: str
    reason: str
    judgment: Mapping[str, Any]
    enforcement: str


class Gate:
    """Stands between one run's model and the fleet."""

    def __init__(self, run: Run, clock: Clock, progress: Progress) -> None:
        self._run = run
        self._clock = clock
        self._progress = progress

    async def call(self, call: ToolCall) -> ToolReturn:
        """Do what the model asked for, or say why not. Raises only when the log cannot be written."""
        started = self._clock.monotonic()
        self._progress.calling(call.name, call.arguments)
        tool = self._run.fleet.catalog.get(call.name)
        if tool is None or tool not in self._offered():
            return self._refuse(call, "not_found", f"there is no tool {call.name!r}", started)
        try:
            binding = Binding.of(call, tool)
        except ArgosyError as error:
            return self._refuse(call, error.code, str(error), started)
        if tool.action_class is ActionClass.READ_ONLY and not self._run.judged_reads.covers(tool.name):
            return await self._execute(binding, "read", started)
        ruling = await self._judge(binding)
        self._progress.judged(tool.name, ruling.verdict, ruling.reason)
        if ruling.verdict == "allow":
            return await self._execute(binding, ruling.verdict, started)
        if ruling.enforcement == EnforcementAction.AUDIT_BYPASS:
            return await self._execute(binding, "read", started)
        if ruling.verdict == "escalate":
            return await self._ask(binding, ruling, started)
        return await self._block(binding, ruling, started)

    async def run_approved(self, call: ToolCall, definition_hash: str, bound_hash: str, proposal: str) -> ToolReturn:
        """Run a call that a person approved, exactly as it was bound; judged it was before the question was asked."""
        started = self._clock.monotonic()
        tool = self._run.fleet.catalog.get(call.name)
        if tool is None or tool.definition_hash != definition_hash:
            return await self._stale(call, "approved_stale_tool_definition", proposal, started)
        binding = Binding.of(call, tool)
        if binding.arguments_hash != bound_hash:
            return await self._stale(call, "proposal_body_tampered", proposal, started)
        await self._log_answer(call, "approved_executed", proposal, binding.as_json())
        return await self._execute(binding, "approved", started)

    async def _stale(self, call: ToolCall, enforcement: str, proposal: str, started: float) -> ToolReturn:
        await self._log_answer(call, enforcement, proposal, None)
        return self._refuse(call, "blocked", f"not run: {enforcement}", started)

    async def _log_answer(
        self, call: ToolCall, enforcement: str, proposal: str, binding: Mapping[str, str] | None
    ) -> None:
        await self._run.log(
            "judgment",
            {
                "primitive": "escalation",
                "event": "judgment",
                "proposal_id": proposal,
                "judge_id": "desk",
                "tool_name": call.name,
                "enforcement_action": enforcement,
                "binding": binding,
            },
        )

    async def log_denied(self, call: ToolCall, decision: str, proposal: str) -> None:
        """Record that a person decided against a call."""
        await self._log_answer(call, decision, proposal, None)

    def _only_records(self, tool: ToolInfo) -> bool:
        """Whether the call only reads and is judged for the record: then it is made even when the judge is away."""
        return tool.action_class is ActionClass.READ_ONLY and self._run.judged_reads.only_records(tool.name)

    def _offered(self) -> list[ToolInfo]:
        return self._run.fleet.catalog.for_agent(full=True)

    async def _judge(self, binding: Binding) -> Ruling:
        proposal = {
            "tool_name": binding.tool.name,
            "tool_arguments": binding.arguments,
            "tool_call_id": binding.call_id,
            "server": binding.tool.server,
        }
        try:
            outcome = await self._run.fleet.call("judge_evaluate", {"proposal": proposal}, self._run.token)
        except ArgosyError as error:
            outcome = CallOutcome(str(error), None, is_error=True, code=error.code)
        ruling = _ruling(outcome, binding)
        if outcome.is_error and self._only_records(binding.tool):
            ruling = replace(ruling, enforcement=EnforcementAction.AUDIT_BYPASS.value)
        await self._run.log(
            "judgment",
            {
                "primitive": "judgment",
                "event": "judgment",
                "proposal_id": ruling.judgment.get("proposal_id"),
                "judge_id": ruling.judgment.get("judge_id", "framework"),
                "policy_version": ruling.judgment.get("policy_version"),
                "tool_name": binding.tool.name,
                "proposal": {**proposal, "classification": ruling.judgment.get("classification")},
                "judgment": {"outcome": ruling.verdict, "reason": ruling.reason},
                "raw_outcome": ruling.judgment.get("raw_outcome", ruling.judgment.get("outcome")),
                "enforcement_action": ruling.enforcement,
                "binding": binding.as_json(),
                "latency_ms": ruling.judgment.get("latency_ms"),
                "cost_usd": ruling.judgment.get("cost_usd", 0.0),
                "cost_source": "judge",
            },
        )
        return ruling

    async def _execute(self, binding: Binding, verdict: str, started: float) -> ToolReturn:
        outcome = self._redacted(await self._send(binding))
        status = "blocked" if outcome.code == "blocked" else "error" if outcome.is_error else "ok"
        await self._record(binding, status, verdict, started, outcome.text)
        text = outcome.text
        if len(text) > MAX_RETURN_CHARS:
            text = text[:MAX_RETURN_CHARS] + "\n… cut; ask for less"
        return ToolReturn(binding.call_id, binding.tool.name, text, outcome.structured, outcome.is_error)

    async def _send(self, binding: Binding) -> CallOutcome:
        """Make the bound call; secrets take their names' place only now, after the verdict and outside the log."""
        arguments = binding.arguments
        try:
            if has_placeholder(arguments):
                secrets = self._run.secrets
                audiences = await to_thread.run_sync(secrets.audiences)
                tool = binding.tool
                arguments = await inject(arguments, secrets.resolve, audiences.by_name, tool.name, tool.own)
            return await self._run.fleet.call(binding.tool.name, arguments, self._run.token)
        except ArgosyError as error:
            return CallOutcome(f"{error.code}: {error}", None, is_error=True, code=error.code)

    def _redacted(self, outcome: CallOutcome) -> CallOutcome:
        redactor = self._run.secrets.redactor
        return replace(
            outcome,
            text=redactor.redact_text(outcome.text),
            structured=redactor.redact_json(outcome.structured),
            detail=redactor.redact_json(outcome.detail),
        )

    async def _ask(self, binding: Binding, ruling: Ruling, started: float) -> ToolReturn:
        """Put the call before a person; the run goes on without it."""
        question = {
            "kind": "escalation",
            "title": f"{self._run.agent} wants to call {binding.tool.name}",
            "body": ruling.reason,
            "binding": {
                **binding.as_json(),
                "tool_name": binding.tool.name,
                "tool_arguments": binding.arguments,
                "server": binding.tool.server,
                "proposal_id": ruling.judgment.get("proposal_id"),
                "action_class": ruling.judgment.get("classification"),
                "judge_id": ruling.judgment.get("judge_id"),
                "policy_version": ruling.judgment.get("policy_version"),
                "run": self._run.id,
            },
        }
        try:
            outcome = await self._run.fleet.call("desk_ask", question, self._run.token)
        except ArgosyError as error:
            outcome = CallOutcome(f"{error.code}: {error}", None, is_error=True)
        if outcome.is_error or outcome.structured is None:
            return await self._block(
                binding, Ruling("block", f"nobody could be asked: {outcome.text}", {}, "block_executed"), started
            )
        number = str(outcome.structured["question"])
        self._run.questions.append(number)
        await self._record(binding, "deferred", "escalate", started, f"waits for {number}")
        text = f"deferred: a person must decide this first (question {number}). {ruling.reason}"
        return ToolReturn(binding.call_id, binding.tool.name, text, None, is_error=True)

    async def _block(self, binding: Binding, ruling: Ruling, started: float) -> ToolReturn:
        await self._record(binding, "blocked", ruling.verdict, started, ruling.reason)
        return ToolReturn(binding.call_id, binding.tool.name, f"blocked: {ruling.reason}", None, is_error=True)

    def _refuse(self, call: ToolCall, code: str, message: str, started: float) -> ToolReturn:
        took = (self._clock.monotonic() - started) * 1000
        self._run.tools.append(ToolUse(call.name, "refused", took))
        self._progress.returned(call.name, took, True, message)
        return ToolReturn(call.id, call.name, f"{code}: {message}", None, is_error=True)

    async def _record(self, binding: Binding, status: str, verdict: str, started: float, text: str) -> None:
        took = (self._clock.monotonic() - started) * 1000
        summary = " ".join(text.split())[:SUMMARY_CHARS]
        self._run.tools.append(ToolUse(binding.tool.name, verdict, took))
        self._progress.returned(binding.tool.name, took, status != "ok", summary)
        await self._run.log(
            "tool",
            {
                "primitive": "tool",
                "call_id": binding.call_id,
                "tool_name": binding.tool.name,
                "server": binding.tool.server,
                "action_class": binding.tool.action_class.value,
                "verdict": verdict,
                "status": status,
                "latency_ms": round(took, 2),
                "arguments_hash": binding.arguments_hash,
                "summary": summary,
            },
        )


def _ruling(outcome: CallOutcome, binding: Binding) -> Ruling:
    """What the host makes of the judge's answer; anything but a clean verdict on this very call blocks."""
    judgment = outcome.structured
    if outcome.is_error or judgment is None:
        return Ruling("block", f"the judge did not answer: {outcome.text}", {}, "block_executed")
    if judgment.get("arguments_hash", binding.arguments_hash) != binding.arguments_hash:
        return Ruling("block", "the judge judged other arguments", judgment, "block_executed")
    verdict, reason = str(judgment.get("outcome")), str(judgment.get("reason", ""))
    if verdict == "allow":
        return Ruling(verdict, reason, judgment, str(judgment.get("enforcement_action") or "allow_executed"))
    if verdict == "escalate":
        return Ruling(verdict, reason, judgment, "escalate_pending")
    if verdict == "block":
        return Ruling(verdict, reason, judgment, "block_executed")
    # A revision needs an amendment that is judged again; no judge of this fleet makes one, so it is refused.
    return Ruling("block", f"the judge answered {verdict!r}: {reason}", judgment, "block_executed")
