"""What the policy says, in words: for one call, and as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from argosy_core.policy.grant_form import grant_as_json
from argosy_core.policy.grants import UNLIMITED
from argosy_core.policy.money import show_usd
from argosy_core.policy.tools_md import PathRule
from argosy_core.types import ActionClass
from argosy_core.yamltext import is_list, is_map
from argosy_judge.cases import Case, Situation
from argosy_judge.ensemble import Decision
from argosy_judge.models import Explanation, PolicyField
from argosy_judge.seats import backend_seats, model_seats
from argosy_judge.specialists import source_of
from argosy_judge.standing import POLICY, TOOLS, Standing


def explain(case: Case, decision: Decision, asks: Sequence[str] = ()) -> Explanation:
    """The fields that *decision* on *case* rests on, each with its source; *asks* are judges that are asked too."""
    tool, classified = case.tool, case.classified
    return Explanation(
        tool=tool.full_name,
        outcome=decision.outcome,
        reason=f"if {', '.join(asks)} ({case.standing.policy.settings.where}) agrees: {decision.reason}"
        if asks
        else decision.reason,
        asks=list(asks),
        policy_version=case.standing.version,
        fields=[
            PolicyField(field="server", value=tool.server or "unknown", source=_server_source(case)),
            PolicyField(field="class", value=classified.action_class, source=classified.source),
            PolicyField(field="class_policy", value=case.class_policy, source=source_of(case)),
            *_scope(case.standing),
            *_more(case.standing),
            *_of_grant(case.situation),
        ],
    )


def policy_document(standing: Standing) -> dict[str, Any]:
    """The whole policy of one agent, as JSON types."""
    policy = standing.policy
    classes = {
        action_class: {"policy": policy.class_policy[action_class], "source": policy.source[action_class]}
        for action_class in ActionClass
    }
    return {
        "agent": standing.agent,
        "policy_version": standing.version,
        "class_policy": classes,
        "tool_classification": dict(standing.classification),
        **{field.field: field.value for field in (*_scope(standing), *_more(standing))},
        "mandates": sorted(standing.mandates),
        "faults": [fault.message for fault in (*standing.gate, *standing.foreign, *standing.mandate_faults)],
    }


def _server_source(case: Case) -> str:
    if case.tool.declared is not None:
        return "registry"
    return "mcp.md" if any(e.server == case.tool.server for e in case.standing.mcp.entries) else "unknown"


def _scope(standing: Standing) -> list[PolicyField]:
    tools, source = standing.tools, f"{standing.agent}/{TOOLS}"
    write = tools.write_paths if tools else None
    own_folder = PolicyField(field="write_paths", value=[f"{standing.agent}/"], source="default")
    return [
        own_folder if write is None else _paths("write_paths", write, source),
        _paths("read_only_paths", tools.read_only_paths if tools else (), source if tools else "default"),
    ]


def _paths(field: str, rules: Sequence[PathRule], source: str) -> PolicyField:
    return PolicyField(field=field, value=[rule.path for rule in rules], source=source)


def _more(standing: Standing) -> Iterator[PolicyField]:
    """What is stated beyond the defaults: hosts, lists, caps, other judges, shadow mode."""
    tools, rules, settings = standing.tools, standing.rules, standing.policy.settings
    source = f"{standing.agent}/{TOOLS}"
    if tools is not None:
        if tools.allowed_hosts is not None:
            yield PolicyField(field="allowed_hosts", value=sorted(tools.allowed_hosts), source=source)
        if tools.blocked_hosts:
            yield PolicyField(field="blocked_hosts", value=sorted(tools.blocked_hosts), source=source)
        if tools.denied_arguments:
            shown = [f"{rule.tool}: {rule.pattern}" for rule in tools.denied_arguments]
            yield PolicyField(field="denied_arguments", value=shown, source=source)
    for field, names in (("allowed_tools", rules.tools.allow), ("denied_tools", rules.tools.deny)):
        if names:
            yield PolicyField(field=field, value=sorted(names), source=POLICY)
    for field, cap in (("daily_cap", rules.cost_caps.daily_usd), ("monthly_cap", rules.cost_caps.monthly_usd)):
        if cap is not None:
            yield PolicyField(field=field, value=show_usd(cap), source=POLICY)
    seats = [*model_seats(settings), *backend_seats(settings)]
    if seats:
        yield PolicyField(field="judges", value=["rules", *seats], source=settings.where)
    if settings.read_audit_mode:
        yield PolicyField(field="read_audit_mode", value="on: reading is judged, never stopped", source=settings.where)


def _of_grant(situation: Situation) -> Iterator[PolicyField]:
    if situation.grant == UNLIMITED and situation.grant_fault is None:
        return
    source = f"grant {situation.grant_id}" if situation.grant_id else "the run's grant"
    if situation.grant_fault is not None:
        yield PolicyField(field="grant", value=f"does not count: {situation.grant_fault}", source=source)
        return
    for field, value in grant_as_json(situation.grant).items():
        shown = value if is_list(value) else json.dumps(value) if is_map(value) else str(value)
        yield PolicyField(field=f"grant.{field}", value=shown, source=source)
