"""One activation of an agent, from its start in the log to its end there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from argosy_core.errors import ArgosyError, Conflict, Unavailable
from argosy_core.secrets.secret_store import SecretStore
from argosy_host.compose import Fleet
from argosy_host.providers.base import Citation, Usage
from argosy_host.reading import JudgedReads

RunStatus = Literal["ok", "error", "blocked", "deferred", "interrupted", "budget"]
SUMMARY_CHARS = 200
MAX_ATTEMPTS = 100  # starts of one item that are looked through


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one run may do; the defaults are those of the root grant."""

    iterations: int = 10
    active_seconds: float = 300.0
    tokens: int = 100_000
    output_tokens: int = 4_000


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One call in a run's result: *verdict* is the gate's, *ms* how long it took in all."""

    name: str
    verdict: str
    ms: float


@dataclass(slots=True)
class Run:
    """A run in progress. Everything it does is in the log under its id; this is only what the loop needs."""

    id: str
    agent: str
    task: str
    token: str
    model: str
    fleet: Fleet
    secrets: SecretStore
    item: str | None = None
    judged_reads: JudgedReads = field(default_factory=JudgedReads)
    usage: Usage = field(default_factory=Usage)
    cost_usd: float = 0.0
    cost_estimated: bool = False
    iterations: int = 0
    tools: list[ToolUse] = field(default_factory=list[ToolUse])
    questions: list[str] = field(default_factory=list[str])

    async def log(self, kind: str, fields: Mapping[str, Any], key: str | None = None) -> None:
        """Add an event of this run. Raises Unavailable when the log does not take it: then nothing may go on."""
        body = {"run_id": self.id, "agent_name": self.agent, **{k: v for k, v in fields.items() if v is not None}}
        arguments: dict[str, Any] = {"kind": kind, "body": body}
        if key is not None:
            arguments["key"] = key
        outcome = await self.fleet.call("log_append", arguments, self.token)
        if outcome.code == "conflict":
            raise Conflict(outcome.text)
        if outcome.is_error:
            raise Unavailable(f"the log refused an event: {outcome.text}", hint="mcp-host doctor says why")

    async def start(self, trigger: str) -> None:
        """Write the start. Raises Unavailable when the log does not take it."""
        fields = {
            "primitive": "agent_call",
            "trigger": trigger,
            "task": self.task[:2000],
            "model": self.model,
            "item": self.item,
        }
        if self.item is None:
            await self.log("run.start", fields)
            return
        # Under a key that the item and the attempt make, so that the next attempt finds a run that was killed.
        for attempt in range(1, MAX_ATTEMPTS + 1):
            suffix = f":{attempt}" if attempt > 1 else ""
            try:
                await self.log("run.start", fields, key=f"start:{self.item}{suffix}")
                return
            except Conflict:
                continue
        raise Unavailable(f"the item {self.item} was tried too often", hint="look at it: mcp-host queue")

    async def end(
        self, status: RunStatus, summary: str, elapsed_seconds: float, error: ArgosyError | None = None
    ) -> None:
        """Write the end; a run has exactly one, whatever happened."""
        await self.log(
            "run.end",
            {
                "primitive": "agent_call",
                "status": status,
                "summary": " ".join(summary.split())[:SUMMARY_CHARS],
                "model": self.model,
                "input_tokens": self.usage.input_tokens,
                "output_tokens": self.usage.output_tokens,
                "cache_hit_tokens": self.usage.cache_read,
                "cache_miss_tokens": self.usage.cache_write,
                "cost_usd": round(self.cost_usd, 6),
                "cost_estimated_via_fallback": self.cost_estimated or None,
                "cost_source": "actor",
                "latency_ms": round(elapsed_seconds * 1000, 1),
                "tool_iterations": self.iterations,
                "questions": self.questions or None,
                "error": {"code": error.code, "message": error.message} if error else None,
            },
            key=f"end:{self.id}",
        )


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to."""

    run: str
    agent: str
    status: RunStatus
    text: str
    citations: tuple[Citation, ...]
    tools: tuple[ToolUse, ...]
    usage: Usage
    cost_usd: float
    model: str
    questions: tuple[str, ...] = ()
    error: ArgosyError | None = None

    def as_json(self) -> dict[str, Any]:
        """The object that ``run --json`` prints."""
        return {
            "run": self.run,
            "agent": self.agent,
            "status": self.status,
            "text": self.text,
            "citations": [{"name": c.name, "uri": c.uri} for c in self.citations],
            "tools": [{"name": t.name, "verdict": t.verdict, "ms": round(t.ms, 2)} for t in self.tools],
            "usage": {
                "input_tokens": self.usage.input_tokens,
                "output_tokens": self.usage.output_tokens,
                "cache_read_tokens": self.usage.cache_read,
                "cache_write_tokens": self.usage.cache_write,
            },
            "cost_usd": round(self.cost_usd, 6),
            "model": self.model,
            "questions": list(self.questions),
            "error": {"code": self.error.code, "message": str(self.error)} if self.error else None,
        }
