"""Runs as the log tells of them, whichever process they were in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mcp_types import CallToolResult

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError, NotFound, Unavailable
from argosy_core.ids import Ids
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.server import ArgosyServer
from argosy_core.storage.base import Store
from argosy_core.types import Role
from argosy_core.yamltext import is_map
from argosy_host.compose import load_server
from argosy_host.presence import is_alive
from argosy_host.results import CallOutcome, outcome_of
from argosy_host.runs import WRITER, close_killed, end_key

TASK_CHARS = 200
RECENT = 500  # runs that a starting host looks through
_STARTS = ("run.start", "agent_call")  # the older system wrote one line a run, at its end


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run. *status* is ``in_flight`` while it goes on, ``interrupted`` when its process was killed."""

    run: str
    agent: str
    status: str
    task: str = ""
    summary: str = ""
    model: str | None = None
    trigger: str | None = None
    parent: str | None = None
    started_by: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    cost_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    latency_ms: float | None = None
    questions: tuple[str, ...] = ()
    error: str | None = None
    host: str | None = None

    def is_of(self, agent: str | None) -> bool:
        """Whether *agent* may see it: its own, or one that it started."""
        return agent is not None and agent in (self.agent, self.started_by)


class RunHistory:
    """Reads runs of one store."""

    def __init__(self, store: Store, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._config = ServerConfig(store=store, role=Role.OPERATOR, profile="full", clock=clock, ids=ids)

    @cached_property
    def _log(self) -> ArgosyServer:
        return load_server("log", self._config)

    async def find(self, run: str) -> RunRow:
        """The run *run*. Raises NotFound, Unavailable (the log did not answer)."""
        found, _ = await self._events({"run": run, "kinds": list(_STARTS), "limit": 1})
        if not found:
            raise NotFound(f"there is no run {run[:80]!r}", hint="run_list shows the runs")
        return await self._row(found[0])

    async def page(self, limit: int, cursor: str | None = None) -> tuple[list[RunRow], str | None]:
        """Runs, the newest first, and the cursor of the next page."""
        asked = {"kinds": list(_STARTS), "limit": limit, **({"cursor": cursor} if cursor else {})}
        events, following = await self._events(asked)
        return [await self._row(event) for event in events], following

    async def text(self, row: RunRow) -> str:
        """What the run answered; its first words only where nobody kept the whole."""
        try:
            kept = await self._store.documents.read(result_path(row.agent, row.run))
            found: Any = json.loads(kept.data)
            return str(found["text"])
        except (ArgosyError, ValueError, KeyError, TypeError):
            return row.summary

    async def _events(self, asked: Mapping[str, Any]) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        outcome = await self._ask("log_query", asked)
        assert outcome.structured is not None
        return outcome.structured["items"], outcome.structured["next_cursor"]

    async def _ask(self, tool: str, arguments: Mapping[str, Any]) -> CallOutcome:
        result = await self._log.call_tool(tool, dict(arguments))
        assert isinstance(result, CallToolResult)  # the log asks nobody anything
        outcome = outcome_of(result)
        if outcome.is_error or outcome.structured is None:
            raise outcome.error() if outcome.is_error else Unavailable("the log did not answer")
        return outcome

    async def _row(self, event: Mapping[str, Any]) -> RunRow:
        fields: Mapping[str, Any] = event["fields"]
        run, agent = str(event["run"]), str(fields.get("agent_name") or event["stream"])
        if event["kind"] not in _STARTS[:1]:
            return _finished(RunRow(run, agent, "ok", started_at=event["ts"]), event["status"], event["ts"], fields)
        row = RunRow(
            run=run,
            agent=agent,
            status="in_flight",
            task=" ".join(str(fields.get("task", "")).split())[:TASK_CHARS],
            model=fields.get("model"),
            trigger=fields.get("trigger"),
            parent=fields.get("parent_run_id"),
            started_by=fields.get("started_by"),
            started_at=event["ts"],
            host=fields.get("host"),
        )
        end = await self._store.chain.find(event["stream"], WRITER, end_key(run))
        if end is not None:
            return _finished(row, end.event.get("status"), end.ts, end.event)
        if row.host is not None and not await is_alive(self._store.leases, row.host):
            return _finished(row, "interrupted", None, {"summary": "Its process ended in the middle of this run."})
        return row


async def close_all_killed(store: Store, clock: Clock, ids: Ids) -> int:
    """Give every recent run whose process was killed its end in the log; how many there were."""
    history = RunHistory(store, clock, ids)
    rows, _ = await history.page(RECENT)
    killed = [row for row in rows if row.status == "interrupted" and row.ended_at is None]
    for row in killed:
        await close_killed(store.chain, row.agent, row.run)
    return len(killed)


def result_path(agent: str, run: str) -> str:
    """Where the whole result of a run is kept."""
    return f"{agent}/outcomes/runs/{run}/result.json"


def _finished(row: RunRow, status: Any, ended_at: str | None, fields: Mapping[str, Any]) -> RunRow:
    error: object = fields.get("error")
    return replace(
        row,
        status=str(status or "ok"),
        ended_at=ended_at,
        summary=str(fields.get("summary") or ""),
        model=fields.get("model") or row.model,
        cost_usd=float(fields.get("cost_usd") or 0.0),
        input_tokens=int(fields.get("input_tokens") or 0),
        output_tokens=int(fields.get("output_tokens") or 0),
        latency_ms=fields.get("latency_ms"),
        questions=tuple(map(str, fields.get("questions") or ())),
        error=str(error["message"]) if is_map(error) and "message" in error else None,
    )
