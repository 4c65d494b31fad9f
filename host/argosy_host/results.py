"""What came of a tool call, free of protocol types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp.types import CallToolResult, TextContent

from argosy_core.errors import ArgosyError, error_class
from argosy_core.serving.shaping import ERROR_META


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """*code* is one of the error codes when *is_error* is set."""

    text: str
    structured: Mapping[str, Any] | None
    is_error: bool = False
    code: str | None = None
    retryable: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def error(self) -> ArgosyError:
        """The failure as the error it was in its server."""
        message = self.text.removeprefix(f"{self.code}: ")
        return error_class(self.code)(message, **dict(self.detail))


def outcome_of(result: CallToolResult) -> CallOutcome:
    """The outcome in a tool's result."""
    text = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
    others = sum(not isinstance(block, TextContent) for block in result.content)
    if others:
        text += f"\n[{others} part(s) that are not text were left out]"
    error: dict[str, Any] = (result.meta or {}).get(ERROR_META, {})
    return CallOutcome(
        text=text,
        structured=result.structured_content,
        is_error=bool(result.is_error),
        code=error.get("code", "unavailable") if result.is_error else None,
        retryable=bool(error.get("retryable", False)),
        detail=error.get("detail", {}),
    )
