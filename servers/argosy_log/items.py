"""An event as a compact item: its common fields by name, the others bounded."""

from __future__ import annotations

import json
import math
from typing import Any, cast

from argosy_core.clock import rfc3339
from argosy_log.events import LogEvent
from argosy_log.models import LogItem

MAX_VALUE_CHARS = 500
MAX_FIELDS = 40
MAX_NAME_CHARS = 100
_MAX_DEPTH = 12
_SHOWN_BY_NAME = frozenset({"kind", "run_id", "status", "summary"})


def item_of(event: LogEvent) -> LogItem:
    """*event* as `log_query` shows it."""
    others = {name: value for name, value in event.fields.items() if name not in _SHOWN_BY_NAME}
    fields = {name[:MAX_NAME_CHARS]: bounded(value) for name, value in list(others.items())[:MAX_FIELDS]}
    if len(others) > MAX_FIELDS:
        fields["…"] = f"{len(others) - MAX_FIELDS} more fields"
    return LogItem(
        stream=event.stream,
        writer=event.writer,
        seq=event.seq,
        ts=rfc3339(event.at) if event.at else None,
        kind=cut(event.kind),
        run=cut(event.run) if event.run else None,
        status=optional(event.text("status")),
        summary=optional(event.text("summary")),
        fields=fields,
    )


def cut(text: str, most: int = MAX_VALUE_CHARS) -> str:
    """*text* with at most *most* characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def optional(text: str | None, most: int = MAX_VALUE_CHARS) -> str | None:
    """Like `cut`, for what may be missing."""
    return None if text is None else cut(text, most)


def bounded(value: Any) -> Any:
    """*value* when it is short; else its text, cut. What JSON cannot carry becomes text too."""
    if isinstance(value, str):
        return cut(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if not isinstance(value, dict | list):
        return value
    nested = cast("dict[str, Any] | list[Any]", value)
    try:
        text = json.dumps(nested, ensure_ascii=False)
        return nested if len(text) <= MAX_VALUE_CHARS and _is_plain(nested) else cut(text)
    except RecursionError:
        return "nested too deep to show"


def _is_plain(value: object, depth: int = 0) -> bool:
    """Whether every client can take *value*: finite numbers, and no deeper than a schema validator likes."""
    if isinstance(value, float):
        return math.isfinite(value)
    if depth > _MAX_DEPTH:
        return False
    if isinstance(value, dict):
        value = list(cast("dict[str, object]", value).values())
    return not isinstance(value, list) or all(_is_plain(item, depth + 1) for item in cast("list[object]", value))
