"""A run's events as a tree: what it did, step by step, and the runs below it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from argosy_core.clock import rfc3339
from argosy_log.events import AGENT_CALL, RUN_END, RUN_START, LogEvent
from argosy_log.items import cut, optional
from argosy_log.models import RunNode, RunTrace, TraceStep

MAX_STEPS = 1000
MAX_DETAIL_CHARS = 300
MAX_DEPTH = 32
_NAMES = ("tool_name", "name", "title", "path", "model")
_DETAILS = ("summary", "reason", "error")


def build_trace(run: str, events: Sequence[LogEvent], notes: Sequence[str] = ()) -> RunTrace:
    """The tree under *run*, from its events and those of the runs below it, oldest first."""
    node = _Tree(run, events).node(run)
    return RunTrace(**node, notes=list(notes))


class _Tree:
    """The events by run, and how many steps may still be shown."""

    def __init__(self, root: str, events: Sequence[LogEvent]) -> None:
        self._events: dict[str, list[LogEvent]] = {root: []}
        self._children: dict[str, list[str]] = {}
        self._steps_left = MAX_STEPS
        placed = {root}
        for event in events:
            run = event.run or event.parent or root
            self._events.setdefault(run, []).append(event)
            if run not in placed and event.parent is not None and event.parent != run:
                placed.add(run)
                self._children.setdefault(event.parent, []).append(run)

    def node(self, run: str, depth: int = 0) -> dict[str, Any]:
        """The fields of *run*'s node. Each run is placed under one parent and the root under none: no cycle."""
        events = self._events[run]
        verdicts = _verdicts(events)
        shown = [event for event in events if event.kind not in (RUN_START, RUN_END)]
        steps = [_step(event, verdicts) for event in shown]
        kept = steps[: self._steps_left]
        self._steps_left -= len(kept)
        children = self._children.get(run, [])
        below = [RunNode(**self.node(child, depth + 1)) for child in children] if depth < MAX_DEPTH else []
        return {
            **_summary(run, events),
            **_totals(events, steps),
            "steps": kept,
            "children": below,
            "left_out": len(steps) - len(kept) + len(children) - len(below),
        }


def _summary(run: str, events: Sequence[LogEvent]) -> dict[str, Any]:
    start = next((event for event in events if event.kind == RUN_START), None)
    record = _record_of(events)
    told = [event for event in (start, record, *events) if event is not None]
    state = _status(events, record)
    moments = [event.at for event in events if event.at is not None]
    return {
        "run": cut(run),
        "agent": optional(_first(told, "agent_name") or (events[0].stream if events else None)),
        "status": state,
        "task": optional(_first(told[:1], "task")),
        "summary": optional(record.text("summary") if record else None),
        "error": optional(record.text("error") if record else None),
        "started_at": _shown(min(moments, default=None)),
        "ended_at": None if state in ("in_flight", "unknown") else _shown(max(moments, default=None)),
        "model": optional(_first(told, "model")),
    }


def _end_of(events: Sequence[LogEvent]) -> LogEvent | None:
    """The ``run.end`` that the run stands at; None while it runs, also when it was taken up again."""
    marks = [event for event in events if event.kind in (RUN_START, RUN_END)]
    return marks[-1] if marks and marks[-1].kind == RUN_END else None


def _record_of(events: Sequence[LogEvent]) -> LogEvent | None:
    """What says how the run went: its end, or the older system's own record of it."""
    records = [event for event in events if event.writer is None and event.text("status")]
    # A helper's record may carry its parent's id as its own; the run's own record comes from nothing above it.
    own = [event for event in records if event.parent is None]
    # What a run asked or was warned of has a status too, and may stand behind its record.
    runs = [event for event in own if event.kind == AGENT_CALL]
    return _end_of(events) or next(reversed(runs or own or records), None)


def _status(events: Sequence[LogEvent], record: LogEvent | None) -> str:
    if record is None and any(event.kind == RUN_START for event in events):
        return "in_flight"
    return cut(record.text("status") or "unknown") if record else "unknown"


def _totals(events: Sequence[LogEvent], steps: Sequence[TraceStep]) -> dict[str, Any]:
    """What the run's end says it used; for what it does not say, the sum of the steps."""
    end, record = _end_of(events), _record_of(events)
    input_tokens = end.whole("input_tokens") if end else None
    output_tokens = end.whole("output_tokens") if end else None
    cost = end.number("cost_usd") if end else None
    # Helpers of the older system ran beside each other: only the run's own record knows how long it took.
    latency = record.number("latency_ms") if record else None
    return {
        "input_tokens": _sum(step.input_tokens for step in steps) if input_tokens is None else input_tokens,
        "output_tokens": _sum(step.output_tokens for step in steps) if output_tokens is None else output_tokens,
        "cost_usd": round(_amount(step.cost_usd for step in steps), 6) if cost is None else cost,
        "latency_ms": _amount(step.latency_ms for step in steps) if latency is None else latency,
    }


def _sum(values: Iterable[int | None]) -> int:
    return sum(value or 0 for value in values)


def _amount(values: Iterable[float | None]) -> float:
    total = sum(value or 0.0 for value in values)
    return total if math.isfinite(total) else 0.0  # senseless figures have no sum


def _step(event: LogEvent, verdicts: Mapping[str, str]) -> TraceStep:
    judgment = event.inner("judgment")
    outcome = judgment.get("outcome")
    reason = judgment.get("reason")
    detail = _first([event], *_DETAILS) or (reason if isinstance(reason, str) else None)
    verdict = outcome if isinstance(outcome, str) else verdicts.get(event.text("call_id") or "")
    return TraceStep(
        seq=event.seq,
        writer=event.writer,
        ts=_shown(event.at),
        kind=cut(event.kind, MAX_DETAIL_CHARS),
        name=optional(_first([event], *_NAMES), MAX_DETAIL_CHARS),
        status=optional(_first([event], "status", "enforcement_action", "stop"), MAX_DETAIL_CHARS),
        verdict=optional(verdict, MAX_DETAIL_CHARS),
        latency_ms=event.number("latency_ms"),
        input_tokens=event.whole("input_tokens"),
        output_tokens=event.whole("output_tokens"),
        cost_usd=event.number("cost_usd"),
        detail=optional(detail, MAX_DETAIL_CHARS),
    )


def _verdicts(events: Sequence[LogEvent]) -> dict[str, str]:
    """The judge's word on each call, by the call's id."""
    found: dict[str, str] = {}
    for event in events:
        call, outcome = event.inner("binding").get("tool_call_id"), event.inner("judgment").get("outcome")
        if isinstance(call, str) and isinstance(outcome, str):
            found[call] = outcome
    return found


def _first(events: Sequence[LogEvent], *names: str) -> str | None:
    return next((text for event in events for name in names if (text := event.text(name))), None)


def _shown(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
