"""What a file of the owner's decided against a call, in fields that the log can be searched by (the older system's
spec 32): a list that refuses its tool or server, a cap that its cost does not fit under.

It is part of the judgment, and so of the event that the host writes of it anyway: one decision, one durable line. Where
only money is asked for there is no judgment, and what is refused is an event of its own (`refusals`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from argosy_core.budget.ledger import Breach, Period
from argosy_core.policy.money import usd
from argosy_core.types import Verdict
from argosy_judge.cases import Case

Axis = Literal["tool_allowlist", "mcp_allowlist", "cost_cap"]
LAYERS = ("policy", "mandate", "model_md", "per_call")  # whose word is told where several forbid the same
_DIMENSIONS: Mapping[Period, str] = {"day": "daily", "month": "monthly", "total": "cumulative"}


@dataclass(frozen=True, slots=True)
class Listed:
    """A tool or server that a list of ``policy.md`` refuses."""

    reason: str
    axis: Axis
    name: str


def listed(case: Case) -> Listed | None:
    """What the lists of ``policy.md`` have against the call, if anything."""
    rules, tool = case.standing.rules, case.tool
    for name in dict.fromkeys((tool.full_name, tool.name)):
        if rules.tools.refuses(name) == "deny":
            return Listed(f"policy.md denies the tool {name}", "tool_allowlist", name)
    if rules.tools.refuses(tool.full_name) == "allow":
        reason = f"policy.md allows a list of tools, and {tool.full_name} is not on it"
        return Listed(reason, "tool_allowlist", tool.full_name)
    if not tool.own and tool.server is not None and (which := rules.mcp_servers.refuses(tool.server)):
        verb = "denies" if which == "deny" else "does not list"
        return Listed(f"policy.md {verb} the server {tool.server}", "mcp_allowlist", tool.server)
    return None


def policy_decision(case: Case | None, raw: Verdict, outcome: Verdict, reason: str) -> dict[str, Any] | None:
    """The fields of what decided against *case*; None where the verdict *raw* lets it through, or has another *reason*.

    *outcome* is what the verdict becomes: reading that is judged for the record only is never stopped.
    """
    if case is None or raw is Verdict.ALLOW:
        return None
    enforced = outcome is not Verdict.ALLOW
    if case.breaches:
        return _told(case, enforced, of_cap(min(case.breaches, key=_layer_rank)))
    refused = listed(case)
    if refused is None or refused.reason not in reason:
        return None
    return _told(case, enforced, {"denying_layer": "policy", "axis": refused.axis, "attempted_value": refused.name})


def _told(case: Case, enforced: bool, fields: Mapping[str, Any]) -> dict[str, Any]:
    server = None if case.tool.own else case.tool.server
    told = {"decision_kind": "deny", **fields, "tool_name": case.tool.full_name, "mcp_server_name": server}
    return {name: value for name, value in told.items() if value is not None} | {"enforced": enforced}


def of_cap(breach: Breach) -> dict[str, Any]:
    """The fields of a cap that is passed; *attempted_value* is what its period would have come to."""
    cap, unit = breach.cap, breach.cap.purse.rpartition(":")[2]
    counted = unit in ("tokens", "actions")
    attempted = breach.spent + breach.outstanding + breach.wanted
    return {
        "denying_layer": LAYERS[_layer_rank(breach)],
        "axis": "cost_cap",
        "cap_dimension": f"{_DIMENSIONS[cap.period]}_{unit if counted else 'usd'}",
        "attempted_value": attempted if counted else usd(attempted),
        "effective_cap": cap.limit if counted else usd(cap.limit),
        "source": cap.source,
    }


def _layer_rank(breach: Breach) -> int:
    source = breach.cap.source
    if source == "policy.md":
        return 0
    if source.startswith("mandate "):
        return 1
    return 2 if source.endswith("/model.md") else 3
