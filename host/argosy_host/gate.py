"""The gate: every call above reading is bound by hash, judged, logged, and then run exactly as judged.

Failure blocks: when the judge or the log does not answer, nothing above reading happens.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from argosy_core.canonical import sha256_hex
from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError
from argosy_core.policy.judgment import EnforcementAction as Act
from argosy_core.types import ActionClass
from argosy_host.gating.asking import ask_person
from argosy_host.gating.binding import Binding
from argosy_host.gating.execution import Execution
from argosy_host.gating.judging import Judging, Ruling, callable_tool
from argosy_host.progress import Progress
from argosy_host.providers.base import ToolCall, ToolReturn
from argosy_host.results import CallOutcome
from argosy_host.runs import SUMMARY_CHARS, Run, ToolUse

__all__ = ["Begin", "Binding", "Gate", "NotActed", "Ruling"]

MAX_JUDGED = 3  # judgments of a call whose tool changes under it
MAX_RETURN_CHARS = 40_000  # what one call may put into a model's context
SKILL_LOAD, HOST, DEFERRED = "skill_load", "host", "deferred"
UNATTENDED = "this is of high risk, and nothing shows that a person was there who approved it: it must be asked anew"


Begin = Callable[[], Awaitable[bool]]
"""Says in the log that what follows is done, just before it is; False when somebody else has said so."""


class NotActed(Exception):
    """Raised when nothing was done about a person's answer: by another one, or not before the judge answers again."""

    def __init__(self, reason: str, *, by_another: bool = False) -> None:
        super().__init__(reason)
        self.by_another = by_another


class Gate:
    """Stands between one run's model and the fleet."""

    def __init__(self, run: Run, clock: Clock, progress: Progress) -> None:
        self._run = run
        self._clock = clock
        self._progress = progress
        self._judging = Judging(run)
        self._execution = Execution(run)

    async def call(self, call: ToolCall, said: Mapping[str, Any] | None = None) -> ToolReturn:
        """Do what the model asked for, or say why not; *said* is what it says of the call, for whoever judges it.

        Raises only when the log cannot be written.
        """
        started = self._clock.monotonic()
        self._progress.calling(call.name, call.arguments)
        tool = callable_tool(self._run.fleet.catalog, call.name)
        if tool is None:
            return self._refuse(call, "not_found", f"there is no tool {call.name!r}", started)
        try:
            binding = Binding.of(call, tool, said)
        except ArgosyError as error:
            return self._refuse(call, error.code, str(error), started)
        if tool.action_class is ActionClass.READ_ONLY and not self._is_reading_judged(tool.name):
            return await self._execute(binding, "read", started)
        binding, ruling = await self._judged(binding)
        self._progress.judged(binding.tool.name, ruling.verdict, ruling.reason)
        return await self._act(binding, ruling, started)

    async def run_approved(
        self,
        call: ToolCall,
        definition_hash: str,
        bound_hash: str,
        proposal: str,
        *,
        begin: Begin,
        by_default: bool = False,
        unattended: bool = False,
    ) -> ToolReturn:
        """Run a call that a person approved, or silence *by_default*, exactly as it was bound.

        Judged it was before the question was asked; what holds for every call (policies that read, places, caps) is
        looked at again, and its cost is set aside. *unattended* says that the fleet asks for a person who is there and
        that none showed to be: that is enough for what is not of the highest class, whatever the question said of it.
        Raises NotActed.
        """
        started = self._clock.monotonic()
        bound = self._bound_still(call, definition_hash, bound_hash)
        if not isinstance(bound, Binding):
            await self._begun(begin, None)
            return await self._stale(call, bound, proposal, started)
        ruling = await self._judging.check_approved(bound)
        await self._begun(begin, ruling)
        if unattended and ruling.verdict == "allow" and ruling.action_class is ActionClass.HIGH_RISK:
            await self._execution.give_back(ruling.reservation)
            ruling = replace(ruling, verdict="block", reason=UNATTENDED, enforcement=Act.BLOCK_EXECUTED)
        if ruling.verdict != "allow":
            await self._log_answer(call, ruling.enforcement, proposal, bound.as_json())
            return await self._block(bound, ruling, started)
        done = Act.AUTO_DECIDED_ALLOW if by_default else Act.APPROVED_EXECUTED
        await self._log_answer(call, done, proposal, bound.as_json())
        return await self._execute(bound, "approved", started, ruling.reservation)

    async def run_revised(
        self,
        call: ToolCall,
        definition_hash: str,
        bound_hash: str,
        proposal: str,
        amendment: Mapping[str, Any],
        *,
        begin: Begin,
    ) -> ToolReturn:
        """Run what a person made of a call that waited: checked anew, and asked about again where it is of the highest
        class now. Raises NotActed."""
        started = self._clock.monotonic()
        bound = self._bound_still(call, definition_hash, bound_hash)
        if not isinstance(bound, Binding):
            await self._begun(begin, None)
            return await self._stale(call, bound, proposal, started)
        binding, ruling = await self._judging.judge_revised(bound, amendment, proposal)
        await self._begun(begin, ruling)
        self._progress.judged(binding.tool.name, ruling.verdict, ruling.reason)
        return await self._act(binding, ruling, started)

    async def log_denied(self, call: ToolCall, decision: str, proposal: str) -> None:
        """Record that a person decided against a call."""
        await self._log_answer(call, decision, proposal, None)

    def _is_reading_judged(self, tool: str) -> bool:
        return self._run.judged_reads.covers(tool) or self._run.purse.grant.bounds_reading

    async def _judged(self, binding: Binding) -> tuple[Binding, Ruling]:
        """The ruling on *binding* as its tool is now: one that changed while it was judged is judged again."""
        for _ in range(MAX_JUDGED):
            binding, ruling = await self._judging.judge(binding)
            tool = callable_tool(self._run.fleet.catalog, binding.tool.name)
            if ruling.verdict != "allow" or (tool is not None and tool.definition_hash == binding.tool.definition_hash):
                return binding, ruling
            await self._execution.give_back(ruling.reservation)
            if tool is None:
                break
            binding = replace(binding, tool=tool)
        reason = f"{binding.tool.name} changed or went while it was judged"
        return binding, Ruling("block", reason, {}, Act.BLOCK_EXECUTED)

    async def _act(self, binding: Binding, ruling: Ruling, started: float) -> ToolReturn:
        if ruling.verdict == "allow":
            return await self._execute(binding, ruling.verdict, started, ruling.reservation)
        if ruling.verdict == "escalate":
            return await self._ask(binding, ruling, started)
        return await self._block(binding, ruling, started)

    async def _begun(self, begin: Begin, ruling: Ruling | None) -> None:
        """Say that what *ruling* came to is done now: not while the judge is away, and not when another does it."""
        if ruling is not None and not ruling.is_answered:
            raise NotActed(ruling.reason)
        if not await begin():
            await self._execution.give_back(ruling.reservation if ruling else None)
            raise NotActed("another run acts on it", by_another=True)

    def _bound_still(self, call: ToolCall, definition_hash: str, bound_hash: str) -> Binding | Act:
        """What was bound when a person was asked, or why that is not what would run now."""
        tool = callable_tool(self._run.fleet.catalog, call.name)
        if tool is None or tool.definition_hash != definition_hash:
            return Act.APPROVED_STALE_TOOL_DEFINITION
        binding = Binding.of(call, tool)
        return binding if binding.arguments_hash == bound_hash else Act.PROPOSAL_BODY_TAMPERED

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
                "parent_run_id": self._run.origin.parent,
                "proposal_id": proposal,
                "escalation_queue_id": proposal,
                "judge_id": "desk",
                "tool_name": call.name,
                "enforcement_action": enforcement,
                "binding": binding,
            },
        )

    async def _execute(
        self, binding: Binding, verdict: str, started: float, reservation: str | None = None
    ) -> ToolReturn:
        outcome = await self._execution.make(binding, reservation)
        self._learn(binding, outcome)
        status = "blocked" if outcome.code == "blocked" else "error" if outcome.is_error else "ok"
        await self._record(binding, status, verdict, started, outcome.text)
        text = outcome.text
        if len(text) > MAX_RETURN_CHARS:
            text = text[:MAX_RETURN_CHARS] + "\n… cut; ask for less"
        return ToolReturn(binding.call_id, binding.tool.name, text, outcome.structured, outcome.is_error)

    def _learn(self, binding: Binding, outcome: CallOutcome) -> None:
        """Remember what later judgments and the run's end must say: a skill that was read, questions of runs below."""
        if not binding.tool.own or outcome.is_error or outcome.structured is None:
            return
        if binding.tool.name == SKILL_LOAD:
            name, text = str(outcome.structured.get("name")), str(outcome.structured.get("text"))
            self._run.skills[name] = sha256_hex(text.encode("utf-8", "surrogatepass"))
        elif binding.tool.server == HOST and outcome.structured.get("status") == DEFERRED:
            found: list[str] = [str(question) for question in outcome.structured.get("questions") or ()]
            self._run.below[:] = list(dict.fromkeys((*self._run.below, *found)))

    async def _ask(self, binding: Binding, ruling: Ruling, started: float) -> ToolReturn:
        """Put the call before a person; the run goes on without it."""
        outcome = await ask_person(self._run, binding, ruling)
        if outcome.is_error or outcome.structured is None:
            return await self._block(
                binding, Ruling("block", f"nobody could be asked: {outcome.text}", {}, Act.BLOCK_EXECUTED), started
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
