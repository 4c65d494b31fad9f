"""Events as OpenTelemetry: OTLP/JSON, one request a line, spans first and logs after them.

Format: https://opentelemetry.io/docs/specs/otlp/ (JSON: ids as hex, 64-bit integers as text) and its file exporter;
names of attributes: the semantic conventions for generative AI. Ids follow from the events, so that what is exported
twice is the same span; a run's trace is that of the run at the top of its tree.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

from argosy_core import __version__
from argosy_log.event_facts import microseconds, run_key
from argosy_log.event_pages import event_of_line
from argosy_log.event_sql import statement
from argosy_log.events import AGENT_CALL, RUN_END, RUN_START, LogEvent

MAX_DEPTH = 32
MAX_TEXT_CHARS = 4000
_INTERNAL, _CLIENT = 1, 3
_OK, _ERROR = 1, 2
_INFO, _FAILURE = 9, 17
_FINE = frozenset({"ok", "allow", "success", ""})
_KNOWN = frozenset({"kind", "run_id", "parent_run_id", "summary", "latency_ms"})
# Ours to theirs; what is not here goes under argosy.
_GEN_AI = {
    "model": "gen_ai.request.model",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "agent_name": "gen_ai.agent.name",
    "tool_name": "gen_ai.tool.name",
    "call_id": "gen_ai.tool.call.id",
    "provider": "gen_ai.provider.name",
}


class Telemetry:
    """Renders events; runs' beginnings and parents are looked up in the index."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._starts: dict[str, LogEvent | None] = {}

    def render(self, lines: Sequence[tuple[bytes, LogEvent]]) -> str:
        """*lines* as OTLP/JSON requests, one a line: traces, then logs, each when there are any."""
        spans: dict[str, list[dict[str, Any]]] = {}
        logs: dict[str, list[dict[str, Any]]] = {}
        for line, event in lines:
            if (span := self._span(line, event)) is not None:
                spans.setdefault(event.stream, []).append(span)
            else:
                logs.setdefault(event.stream, []).append(self._log(line, event))
        requests = [_request("resourceSpans", "scopeSpans", "spans", spans)] if spans else []
        requests += [_request("resourceLogs", "scopeLogs", "logRecords", logs)] if logs else []
        return "".join(json.dumps(request, ensure_ascii=False, separators=(",", ":")) + "\n" for request in requests)

    def _span(self, line: bytes, event: LogEvent) -> dict[str, Any] | None:
        if event.at is None:
            return None
        model, tool = event.text("model"), event.text("tool_name")
        if event.kind == RUN_END and event.run is not None:
            return self._run_span(event, event.run)
        if event.kind == "tool" and tool:
            return self._timed(line, event, f"execute_tool {tool}", "execute_tool", _INTERNAL)
        if event.writer is None and event.kind == AGENT_CALL:
            # The older system's record of a run is all there is of it.
            return self._timed(line, event, f"invoke_agent {event.stream}", "invoke_agent", _INTERNAL)
        if model and event.kind not in (RUN_START, RUN_END) and event.number("output_tokens") is not None:
            return self._timed(line, event, f"chat {model}", "chat", _CLIENT)
        return None

    def _run_span(self, event: LogEvent, run: str) -> dict[str, Any]:
        start = self._start(run)
        began = start.at if start and start.at else None
        latency = round((event.number("latency_ms") or 0.0) * 1000)
        end = _micros(event.at)
        above = event.parent or (start.parent if start else None)
        name = event.text("agent_name") or event.stream
        span = {
            "traceId": self._trace(run),
            "spanId": _id(8, "run", run),
            "name": f"invoke_agent {name}",
            "kind": _INTERNAL,
            "startTimeUnixNano": str((min(_micros(began), end) if began else end - latency) * 1000),
            "endTimeUnixNano": str(end * 1000),
            "attributes": _attributes(event, "invoke_agent"),
            "status": _status(event),
        }
        return span | ({"parentSpanId": _id(8, "run", above)} if above and above != run else {})

    def _timed(self, line: bytes, event: LogEvent, name: str, operation: str, kind: int) -> dict[str, Any]:
        end = _micros(event.at)
        latency = round((event.number("latency_ms") or 0.0) * 1000)
        parent = {"parentSpanId": _id(8, "run", event.run)} if event.run and event.writer is not None else {}
        return {
            "traceId": self._trace(event.run) if event.run else _id(16, "event", _name_of(line, event)),
            "spanId": _id(8, "event", _name_of(line, event)),
            **parent,
            "name": name,
            "kind": kind,
            "startTimeUnixNano": str((end - latency) * 1000),
            "endTimeUnixNano": str(end * 1000),
            "attributes": _attributes(event, operation),
            "status": _status(event),
        }

    def _log(self, line: bytes, event: LogEvent) -> dict[str, Any]:
        failed = (event.text("status") or "") not in _FINE
        text = event.text("summary") or event.text("task") or event.kind
        place = {"traceId": self._trace(event.run), "spanId": _id(8, "run", event.run)} if event.run else {}
        return {
            "timeUnixNano": str(_micros(event.at) * 1000 if event.at else 0),
            "severityNumber": _FAILURE if failed else _INFO,
            "severityText": "ERROR" if failed else "INFO",
            "eventName": event.kind,
            "body": {"stringValue": text[:MAX_TEXT_CHARS]},
            "attributes": [
                *_attributes(event, None),
                _attribute("argosy.event.id", _id(8, "event", _name_of(line, event))),
            ],
            **place,
        }

    # Trees

    def _trace(self, run: str) -> str:
        top = run
        for _ in range(MAX_DEPTH):
            start = self._start(top)
            if start is None or start.parent is None or start.parent == top:
                break
            top = start.parent
        return _id(16, "run", top)

    def _start(self, run: str) -> LogEvent | None:
        """What the run began with; for a run that never said so, any event that names its parent."""
        if run not in self._starts:
            rows = self._db.execute(statement("first_of_run"), {"run": run_key(run)}).fetchall()
            events = [event for row in rows if (event := event_of_line(self._db, row["id"])) and event.run == run]
            started = [event for event in events if event.kind == RUN_START]
            self._starts[run] = next(iter([*started, *(event for event in events if event.parent)]), None)
        return self._starts[run]


def _request(outer: str, scoped: str, inner: str, streams: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    return {
        outer: [
            {
                "resource": {"attributes": [_attribute("service.name", "argosy"), _attribute("argosy.stream", stream)]},
                scoped: [{"scope": {"name": "argosy.log", "version": __version__}, inner: list(items)}],
            }
            for stream, items in sorted(streams.items())
        ]
    }


def _attributes(event: LogEvent, operation: str | None) -> list[dict[str, Any]]:
    found: dict[str, Any] = {"gen_ai.operation.name": operation} if operation else {}
    found["argosy.kind"] = event.kind
    for name in ("run", "writer", "seq"):
        if (value := getattr(event, name)) is not None:
            found[f"argosy.{name}"] = value
    for name, value in event.fields.items():
        if name not in _KNOWN and value is not None:
            found[_GEN_AI.get(name, f"argosy.{name}")] = value
    status = event.text("status")
    if status is not None and status not in _FINE:
        found["error.type"] = status
    return [_attribute(name, value) for name, value in found.items()]


def _attribute(name: str, value: Any) -> dict[str, Any]:
    return {"key": name, "value": _any_value(value)}


def _any_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int) and abs(value) < 1 << 63:
        return {"intValue": str(value)}
    if isinstance(value, float) and abs(value) != float("inf") and value == value:
        return {"doubleValue": value}
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return {"stringValue": text[:MAX_TEXT_CHARS]}


def _status(event: LogEvent) -> dict[str, Any]:
    status = event.text("status") or ""
    if status in _FINE:
        return {"code": _OK} if status else {}
    return {"code": _ERROR, "message": (event.text("error") or status)[:MAX_TEXT_CHARS]}


def _name_of(line: bytes, event: LogEvent) -> str:
    """What tells the event from all others: its place in the chain, or, outside it, its own text."""
    return f"{event.stream}\n{event.writer}\n{event.seq}" if event.writer else line.decode("utf-8", "replace")


def _id(size: int, *names: str) -> str:
    return blake2b("\0".join(names).encode("utf-8", "replace"), digest_size=size, person=b"argosy.otlp").hexdigest()


def _micros(moment: datetime | None) -> int:
    return max(0, microseconds(moment)) if moment else 0
