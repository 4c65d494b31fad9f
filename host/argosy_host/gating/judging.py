"""Having a bound call judged, and what the host makes of the answer: anything but a clean verdict blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from argosy_core.errors import ArgosyError
from argosy_host.gating.binding import Binding
from argosy_host.results import CallOutcome
from argosy_host.runs import Run


@dataclass(frozen=True, slots=True)
class Ruling:
    """The judge's answer as the host acts on it."""

    verdict: str
    reason: str
    judgment: Mapping[str, Any]
    enforcement: str


class Judging:
    """Asks the judge on behalf of one run, and leaves each judgment in the log."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def judge(self, binding: Binding) -> Ruling:
        """The ruling on *binding*. Raises Unavailable when the log cannot be written."""
        proposal = _proposal(binding)
        try:
            outcome = await self._run.fleet.call("judge_evaluate", {"proposal": proposal}, self._run.token)
        except ArgosyError as error:
            outcome = CallOutcome(str(error), None, is_error=True, code=error.code)
        ruling = _ruling(outcome, binding)
        await self._log(binding, proposal, ruling)
        return ruling

    async def _log(self, binding: Binding, proposal: Mapping[str, Any], ruling: Ruling) -> None:
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
                "raw_outcome": ruling.judgment.get("outcome"),
                "enforcement_action": ruling.enforcement,
                "binding": binding.as_json(),
                "latency_ms": ruling.judgment.get("latency_ms"),
                "cost_usd": ruling.judgment.get("cost_usd", 0.0),
                "cost_source": "judge",
            },
        )


def _proposal(binding: Binding) -> dict[str, Any]:
    return {
        "tool_name": binding.tool.name,
        "tool_arguments": binding.arguments,
        "tool_call_id": binding.call_id,
        "server": binding.tool.server,
    }


def _ruling(outcome: CallOutcome, binding: Binding) -> Ruling:
    judgment = outcome.structured
    if outcome.is_error or judgment is None:
        return Ruling("block", f"the judge did not answer: {outcome.text}", {}, "block_executed")
    if judgment.get("arguments_hash", binding.arguments_hash) != binding.arguments_hash:
        return Ruling("block", "the judge judged other arguments", judgment, "block_executed")
    verdict, reason = str(judgment.get("outcome")), str(judgment.get("reason", ""))
    if verdict == "allow":
        return Ruling(verdict, reason, judgment, "allow_executed")
    if verdict == "escalate":
        return Ruling(verdict, reason, judgment, "escalate_pending")
    if verdict == "block":
        return Ruling(verdict, reason, judgment, "block_executed")
    # A revision needs an amendment that is judged again; no judge of this fleet makes one, so it is refused.
    return Ruling("block", f"the judge answered {verdict!r}: {reason}", judgment, "block_executed")
