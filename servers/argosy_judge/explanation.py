"""What the policy says, in words: for one call, and as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from argosy_core.policy.tools_md import PathRule
from argosy_core.types import ActionClass
from argosy_judge.cases import Case
from argosy_judge.ensemble import Decision
from argosy_judge.models import Explanation, PolicyField
from argosy_judge.specialists import source_of
from argosy_judge.standing import TOOLS, Standing


def explain(case: Case, decision: Decision) -> Explanation:
    """The fields that *decision* on *case* rests on, each with its source."""
    tool, classified = case.tool, case.classified
    return Explanation(
        tool=tool.full_name,
        outcome=decision.outcome,
        reason=decision.reason,
        policy_version=case.standing.version,
        fields=[
            PolicyField(field="server", value=tool.server or "unknown", source=_server_source(case)),
            PolicyField(field="class", value=classified.action_class, source=classified.source),
            PolicyField(field="class_policy", value=case.class_policy, source=source_of(case)),
            *_scope(case.standing),
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
        **{field.field: field.value for field in _scope(standing)},
        "faults": [fault.message for fault in (*standing.gate, *standing.foreign)],
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
