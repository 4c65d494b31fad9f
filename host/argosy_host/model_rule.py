"""The model that ``policy.md`` rules for an agent, whatever its ``model.md`` or a caller says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from argosy_core.policy.errors import PolicyInvalid
from argosy_core.policy.model_md import ModelFile
from argosy_core.policy.policy_md import FILE, parse_policy
from argosy_core.views.reader import Reader


def ruled_model(reader: Reader, agent: str) -> str | None:
    """The model that is ruled; None where none is, or the file cannot be read: then no call is allowed anyway. Blocks.

    Raises what the store raises.
    """
    data = reader.read(FILE)
    try:
        return parse_policy(data).rules_for(agent).model if data is not None else None
    except PolicyInvalid:
        return None


def model_decision(ruled: str | None, asked: str | None, file: ModelFile) -> Mapping[str, Any] | None:
    """What the log says of it where the rule took the place of another model (the older system's spec 32)."""
    attempted = asked or file.default_model
    if ruled is None or attempted in (None, ruled):
        return None
    told = {
        "decision_kind": "override",
        "denying_layer": "policy",
        "axis": "model_selection",
        "attempted_value": attempted,
        "model_from_policy": ruled,
        "model_from_model_md": file.default_model,
        "model_from_per_call": asked,
    }
    return {name: value for name, value in told.items() if value is not None} | {"enforced": True}
