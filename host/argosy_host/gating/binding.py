"""What is judged and nothing else is what runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from argosy_core.canonical import arguments_hash, canonical_json
from argosy_host.catalog import ToolInfo
from argosy_host.providers.base import ToolCall


@dataclass(frozen=True, slots=True)
class Binding:
    """A call tied to its tool's definition and its arguments, of which this is a private copy.

    *said* is what its actor says of it, as a proposal has that.
    """

    call_id: str
    tool: ToolInfo
    arguments: Mapping[str, Any]
    arguments_hash: str
    said: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, call: ToolCall, tool: ToolInfo, said: Mapping[str, Any] | None = None) -> Binding:
        """Bind *call*. Raises InvalidArgument when its arguments are not canonical JSON."""
        frozen = canonical_json(call.arguments)
        arguments: dict[str, Any] = json.loads(frozen)
        return cls(call.id, tool, arguments, arguments_hash(arguments), dict(said or {}))

    def as_json(self) -> dict[str, str]:
        """The binding as an event holds it."""
        return {
            "tool_call_id": self.call_id,
            "tool_definition_hash": self.tool.definition_hash,
            "arguments_hash": self.arguments_hash,
        }
