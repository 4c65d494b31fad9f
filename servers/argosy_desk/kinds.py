"""Kinds of questions, what may be answered to each, and what comes of an answer."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal["escalation", "gate", "permission", "decision", "input", "promotion"]
State = Literal["pending", "resolved", "redacted", "unparseable"]
Urgency = Literal["low", "normal", "high"]
Decision = Literal["approved", "denied", "revised", "redacted", "answered", "tampered"]

KINDS: tuple[Kind, ...] = get_args(Kind)
URGENCIES: tuple[Urgency, ...] = get_args(Urgency)
JUDGED: frozenset[Kind] = frozenset({"escalation", "permission", "promotion"})
"""Kinds that are approved or denied; the others are answered with a choice."""

VERBS: dict[str, str] = {"approve": "Approved", "deny": "Denied", "revise": "Revised", "redact": "Redacted"}
"""What is answered to a judged question, and the word that stands for it in the file."""
