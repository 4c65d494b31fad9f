"""Putting a call before a person: the question holds the exact call that waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from argosy_core.errors import ArgosyError
from argosy_host.gating.binding import Binding
from argosy_host.gating.judging import Ruling
from argosy_host.results import CallOutcome
from argosy_host.runs import Run

_SYNTHESIS = ("synthesis_source", "triggered_by")


async def ask_person(run: Run, binding: Binding, ruling: Ruling) -> CallOutcome:
    """The desk's answer to asking about *binding*; a failure is an outcome."""
    try:
        return await run.fleet.call("desk_ask", _question(run, binding, ruling), run.token)
    except ArgosyError as error:
        return CallOutcome(f"{error.code}: {error}", None, is_error=True)


def _question(run: Run, binding: Binding, ruling: Ruling) -> Mapping[str, Any]:
    return {
        "kind": "escalation",
        "title": f"{run.agent} wants to call {binding.tool.name}",
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
            **{name: found for name in _SYNTHESIS if (found := ruling.judgment.get(name)) is not None},
            "run": run.id,
            **({"stated": binding.said} if binding.said else {}),
        },
    }
