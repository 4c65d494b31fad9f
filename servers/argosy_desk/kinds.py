"""Kinds of questions, what may be answered to each, and what comes of an answer."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal["escalation", "gate", "permission", "decision", "input", "promotion"]
State = Literal["pending", "resolved", "redacted", "unparseable"]
Urgency = Literal["low", "normal", "high"]
Decision = Literal["approved", "denied", "revised", "redacted", "answered", "withdrawn", "tampered"]

KINDS: tuple[Kind, ...] = get_args(Kind)
URGENCIES: tuple[Urgency, ...] = get_args(Urgency)
JUDGED: frozenset[Kind] = frozenset({"escalation", "permission", "promotion"})
"""Kinds that are approved or denied; the others are answered with a choice."""

PROVEN: frozenset[Decision] = frozenset({"approved", "revised", "answered"})
"""Decisions that let something happen: where the fleet asks for a person who is there, these alone need one."""

DECIDE_AFTER_SECONDS: dict[Urgency, float] = {"high": 3_600.0, "normal": 86_400.0, "low": 604_800.0}
"""How long a question with a default waits for a person."""

VERBS: dict[str, str] = {"approve": "Approved", "deny": "Denied", "revise": "Revised", "redact": "Redacted"}
"""What is answered to a judged question, and the word that stands for it in the file."""
