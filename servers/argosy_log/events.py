"""One line of the log as an event, whichever system wrote it.

Our lines carry ``kind`` and the chain's fields. The older system's carry neither: their kind is their ``event``, their
``primitive``, or ``agent_call`` when they name a model or what started them; their times may have any offset.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from argosy_core.clock import parse_time
from argosy_core.storage.chain_lines import event_of, is_chained, parse_line
from argosy_core.storage.day_chain import FLEET

RUN_START = "run.start"
RUN_END = "run.end"
REDACTED = "redacted"
AGENT_CALL = "agent_call"  # the older system's record of a run
# Where an event of the fleet says whom it is about.
NAMING = ("agent", "agent_name", "parent_agent", "holder")


@dataclass(frozen=True, slots=True)
class LogEvent:
    """*writer* and *seq* are None for a line outside the chain, *at* (UTC) when the line has no readable time.

    *fields* are the event's own: neither the chain's nor the time.
    """

    stream: str
    writer: str | None
    seq: int | None
    at: datetime | None
    kind: str
    run: str | None
    parent: str | None
    fields: Mapping[str, Any]

    def text(self, name: str) -> str | None:
        """The field *name* when it is text that is not empty."""
        value = self.fields.get(name)
        return value if isinstance(value, str) and value else None

    def number(self, name: str) -> float | None:
        """The field *name* when it is a finite number."""
        value = self.fields.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        try:
            return float(value) if math.isfinite(value) else None
        except OverflowError:
            return None

    def whole(self, name: str) -> int | None:
        """The field *name* as a whole number."""
        value = self.number(name)
        return None if value is None else round(value)

    def inner(self, name: str) -> Mapping[str, Any]:
        """The field *name* when it is an object; an empty one otherwise."""
        value = self.fields.get(name)
        return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def read_line(stream: str, line: bytes) -> LogEvent | None:
    """The event in *line* of *stream*'s files; None when the line is not a JSON object."""
    fields = parse_line(line)
    if fields is None:
        return None
    if b"\\u" in line:
        fields = _without_halves(fields)
    chained = is_chained(fields)
    event = event_of(fields)
    return LogEvent(
        stream=stream,
        writer=str(fields["writer"]) if chained else None,
        seq=fields["seq"] if chained and isinstance(fields["seq"], int) else None,
        at=_instant(fields.get("ts")),
        kind=_kind(event),
        run=_name(event.get("run_id")),
        parent=_name(event.get("parent_run_id")),
        fields=event,
    )


def _without_halves(fields: dict[str, Any]) -> dict[str, Any]:
    # An escaped half of a surrogate pair is legal JSON that no UTF-8 can carry on.
    return cast("dict[str, Any]", json.loads(json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")))


def _kind(event: Mapping[str, Any]) -> str:
    if event == {"redacted": True}:
        return REDACTED
    for name in ("kind", "event", "primitive"):
        if (found := _name(event.get(name))) is not None:
            return found
    # Its earliest records of runs named neither, and those of runs that were skipped no model.
    return AGENT_CALL if event.get("model") or event.get("trigger") else "other"


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _instant(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return parse_time(value)
    except (ValueError, OverflowError):
        return None


def names_agent(event: LogEvent, agent: str) -> bool:
    """Whether *event* says that it is about *agent*."""
    return any(event.fields.get(name) == agent for name in NAMING)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a caller may see: *streams* whole, or, with *agent*, of the fleet's stream only what names that agent."""

    streams: tuple[str, ...]
    agent: str | None = None

    def sees(self, event: LogEvent) -> bool:
        """Whether the caller may see *event*."""
        return self.agent is None or event.stream != FLEET or names_agent(event, self.agent)
