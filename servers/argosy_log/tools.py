"""The log's tools: validate, call, shape."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from argosy_core.serving.identity import WhoCalls
from argosy_core.serving.results import DEFAULT_LIMIT
from argosy_core.serving.toolbox import ToolBox
from argosy_core.types import ActionClass, Role
from argosy_log.aggregation import Field as GroupField
from argosy_log.aggregation import Measure, Stat
from argosy_log.exporting import Format
from argosy_log.log import Log
from argosy_log.models import (
    AggregatePage,
    Anchored,
    Appended,
    Exported,
    HeadPage,
    LogPage,
    Redacted,
    RunTrace,
    Verified,
)

Limit = Annotated[int, Field(description="At most this many, up to 500")]
Cursor = Annotated[str | None, Field(description="next_cursor of the page before")]
Stream = Annotated[str | None, Field(description="An agent's name or _fleet; all in sight when left out")]


def build_tools(log: Log) -> ToolBox:
    """The tools over *log*."""
    box = ToolBox()

    @box.tool("Append to the log", ActionClass.REVERSIBLE_WRITE, role=Role.HOST)
    async def log_append(
        caller: WhoCalls,
        kind: Annotated[str, Field(description="Lower-case words joined by dots: run.start")],
        body: Annotated[dict[str, Any], Field(description="The event's own fields")],
        key: Annotated[str | None, Field(description="Repeat-safe: the same key and event append once")] = None,
        expect_seq: Annotated[int | None, Field(description="Number the entry must get, else conflict")] = None,
    ) -> Appended:
        """Append an event to the caller's stream, durably and chained to the one before it."""
        return await log.append(caller, kind, body, key, expect_seq)

    @box.tool("Search the log", default=True)
    async def log_query(
        caller: WhoCalls,
        kinds: Annotated[list[str] | None, Field(description="memory.* means a group")] = None,
        run: Annotated[str | None, Field(description="Run id")] = None,
        agent: Annotated[str | None, Field(description="For operators: whose")] = None,
        status: Annotated[str | None, Field(description="ok, error, blocked, …")] = None,
        since: Annotated[str | None, Field(description="First date or time")] = None,
        until: Annotated[str | None, Field(description="Last date or time")] = None,
        text: Annotated[str | None, Field(description="Found anywhere in the event")] = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> LogPage:
        """Logged events, newest first: what was done, by which run. For one run as a whole, use log_trace."""
        filters: dict[str, Any] = {"kinds": kinds, "run": run, "status": status}
        return await log.query(caller, agent, limit, cursor, **filters, since=since, until=until, text=text)

    @box.tool("Trace a run", default=True)
    async def log_trace(caller: WhoCalls, run: Annotated[str, Field(description="Run id")]) -> RunTrace:
        """One run as a tree: each step with verdict, tokens, cost and latency, and the runs below it. Use it to see
        why a run ended as it did."""
        return await log.trace(caller, run)

    @box.tool("Numbers from the log")
    async def log_aggregate(
        caller: WhoCalls,
        measure: Annotated[Measure, Field(description="What is added up; cost and tokens of a run's steps")] = "count",
        stat: Annotated[Stat, Field(description="count knows sum only")] = "sum",
        by: Annotated[
            list[GroupField] | None, Field(description="Up to 4 fields to group by; none: one number")
        ] = None,
        since: Annotated[str | None, Field(description="First date or time")] = None,
        until: Annotated[str | None, Field(description="Last date or time")] = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> AggregatePage:
        """How many, how much, how long: money by model, tokens by day, slow tools (p95 of latency_ms by tool). A run's
        end repeats what its steps cost; that is not counted twice. Percentiles of many values are within
        relative_error."""
        return await log.measuring.aggregate(caller, measure, stat, by or (), since, until, limit, cursor)

    @box.tool("Heads of the log")
    async def log_heads(
        caller: WhoCalls, stream: Stream = None, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> HeadPage:
        """The last entry of each writer: its number and hash. Compare with an earlier answer to see what is new."""
        return await log.heads(caller, stream, limit, cursor)

    @box.tool("Verify the log")
    async def log_verify(caller: WhoCalls, stream: Stream = None) -> Verified:
        """Check every entry's hash and place in its chain, and the log against its anchors. Each break is named with
        the entry where it begins: altered, truncated, missing, moved, rewritten or gap."""
        return await log.verify(caller, stream)

    @box.tool("Anchor the log", ActionClass.REVERSIBLE_WRITE, role=Role.HOST, idempotent=True)
    async def log_anchor() -> Anchored:
        """Write the heads of all chains down, in each log/anchors.md and in the fleet's stream, so that log_verify
        finds what is cut off or rewritten later. The servers do it by themselves now and then."""
        return await log.anchor()

    @box.tool("Redact an entry", ActionClass.HIGH_RISK, role=Role.OPERATOR, destructive=True, idempotent=True)
    async def log_redact(
        caller: WhoCalls,
        stream: Annotated[str, Field(description="An agent's name or _fleet")],
        writer: Annotated[str, Field(description="As log_query shows it")],
        seq: Annotated[int, Field(description="The entry's number")],
        why: Annotated[str, Field(description="Stays in the log: name no secret")],
    ) -> Redacted:
        """Remove the text of one entry for good. Its hash stays, so the chain still holds, and a redaction event says
        why. Copies elsewhere (git, backups) are yours to clean."""
        return await log.redact(caller, stream, writer, seq, why)

    @box.tool("Export the log")
    async def log_export(
        caller: WhoCalls,
        since: Annotated[str | None, Field(description="First date or time")] = None,
        until: Annotated[str | None, Field(description="Last date or time")] = None,
        format: Annotated[
            Format, Field(description="jsonl: lines as stored; otlp: OTLP/JSON, a request a line")
        ] = "jsonl",
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Exported:
        """The log's lines for another system, oldest first, a page at a time: byte for byte, or as OpenTelemetry spans
        (runs, model calls, tools) and logs (the rest)."""
        return await log.exporting.export(caller, since, until, format, limit, cursor)

    return box
