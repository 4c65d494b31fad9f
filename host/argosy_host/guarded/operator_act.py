"""What an operator does with a tool that only operators have: answering, issuing, redacting. It is a person's own act,
so no judge is asked and nobody else either; it is bound and logged all the same, before and after.
"""

from __future__ import annotations

from argosy_core.clock import Clock
from argosy_host.gate import Binding
from argosy_host.guarded.client_call import ClientCall
from argosy_host.guarded.client_fleet import ClientFleet
from argosy_host.providers.base import ToolCall
from argosy_host.runs import SUMMARY_CHARS, Run

VERDICT = "operator"


async def perform(run: Run, fleet: ClientFleet, call: ClientCall, asked: ToolCall, clock: Clock) -> str:
    """Make *call*, whose result is kept with it; ``ok`` or ``error``. Raises InvalidArgument, Unavailable (the log)."""
    began = clock.monotonic()
    binding = Binding.of(asked, call.tool)
    fields = {
        "primitive": "tool",
        "call_id": binding.call_id,
        "tool_name": call.tool.name,
        "server": call.tool.server,
        "action_class": call.tool.action_class.value,
        "arguments_hash": binding.arguments_hash,
    }
    await run.log("operator.act", {**fields, "binding": binding.as_json()})
    outcome = await fleet.make(call, call.tool, binding.arguments)
    status = "error" if outcome.is_error else "ok"
    took = round((clock.monotonic() - began) * 1000, 2)
    summary = " ".join(outcome.text.split())[:SUMMARY_CHARS]
    await run.log("tool", {**fields, "verdict": VERDICT, "status": status, "latency_ms": took, "summary": summary})
    return status
