"""The statuses of a goal and of its steps: one list for both."""

from __future__ import annotations

from typing import Literal, get_args

Status = Literal["pending", "in_progress", "awaiting_decision", "complete", "blocked", "abandoned", "skipped"]
Priority = Literal["high", "medium", "low"]

STATUSES: tuple[Status, ...] = get_args(Status)
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
OPEN: frozenset[str] = frozenset({"pending", "in_progress", "awaiting_decision", "blocked"})


def spoken(status: str) -> str:
    """*status* as it stands in a sentence."""
    return "awaiting a decision" if status == "awaiting_decision" else status.replace("_", " ")
