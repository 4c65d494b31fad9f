"""How figures and texts look in the lines that a person or a model reads."""

from __future__ import annotations

import json
from typing import Any

SHOWN_FIELDS_CHARS = 300
_SHOWN_TEXT_CHARS = 160
_CONTROLS = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), "\ufffd")  # a terminal would obey them


def one_line(value: Any) -> str:
    """*value* on one line, cut where it would crowd the others out."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split()).translate(_CONTROLS)
    return text if len(text) <= _SHOWN_TEXT_CHARS else f"{text[: _SHOWN_TEXT_CHARS - 1]}…"


def figures(latency_ms: float | None, input_tokens: int | None, output_tokens: int | None, cost: float | None) -> str:
    """Latency, tokens in and out, and cost, without those that are nothing."""
    parts = [f"{latency_ms:.{int(latency_ms < 10)}f}ms"] if latency_ms else []
    if input_tokens or output_tokens:
        parts.append(f"{input_tokens or 0}+{output_tokens or 0}tok")
    if cost:
        parts.append(f"${cost:.4f}")
    return " ".join(parts)
