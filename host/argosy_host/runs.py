"""One activation of an agent, from its start in the log to its end there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from argosy_core.canonical import sha256_hex
from argosy_core.errors import ArgosyError, Conflict, Unavailable
from argosy_core.policy.grants import UNLIMITED
from argosy_core.secrets.secret_store import SecretStore
from argosy_core.storage.base import Chain
from argosy_host.compose import Fleet
from argosy_host.providers.base import Citation, Usage
from argosy_host.purse import Purse
from argosy_host.reading import JudgedReads

RunStatus = Literal["ok", "error", "blocked", "deferred", "interrupted", "budget"]
WRITER = "host"
SUMMARY_CHARS = 200
MAX_ATTEMPTS = 100  # starts of one item that are looked through
KILLED = "The process ended in the middle of this run."


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


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a run comes from: *item* is the queue's that it is an attempt at, *key* what a caller named it by, *parent*
    the run that started it and *started_by* who did; *host* is the mark of the process it runs in (`presence`);
    *principal* whose run it is (`argosy_core.serving.identity`): no one else's conversations are open to it; *chain*
    are the agents that handed the work on, the first one first."""

    trigger: str = "manual"
    item: str | None = None
    key: str | None = None
    parent: str | None = None
    started_by: str | None = None
    depth: int = 0
    host: str | None = None
    principal: str | None = None
    chain: tuple[str, ...] = ()


@dataclass(slots=True)
class Run:
    """A run in progress. Everything it does is in the log under its id; this is only what the loop needs.

    *is_heard* says that somebody makes something of what its model says about its calls, *model_decision* that the
    fleet's policy chose the model.
    """

    id: str
    agent: str
    task: str
    token: str
    model: str
    fleet: Fleet
    secrets: SecretStore
    origin: Origin = field(default_factory=Origin)
    judged_reads: JudgedReads = field(default_factory=JudgedReads)
    purse: Purse = field(default_factory=lambda: Purse(UNLIMITED))
    is_heard: bool = False
    model_decision: Mapping[str, Any] | None = None
    skills: dict[str, str] = field(default_factory=dict[str, str])  # loaded ones: name to SHA-256 of what was read
    usage: Usage = field(default_factory=Usage)
    cost_usd: float = 0.0
    cost_estimated: bool = False
    iterations: int = 0
    tools: list[ToolUse] = field(default_factory=list[ToolUse])
    questions: list[str] = field(default_factory=list[str])
    below: list[str] = field(default_factory=list[str])  # questions of runs that it started

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

    async def start(self) -> None:
        """Write the start. Raises Unavailable when the log does not take it, Conflict when its key was used before."""
        origin = self.origin
        fields = {
            "primitive": "agent_call",
            "trigger": origin.trigger,
            "task": self.task[:2000],
            "task_hash": task_hash(self.task) if origin.key else None,
            "model": self.model or None,  # a client brings its own
            "policy_decision": self.model_decision,
            "item": origin.item,
            "parent_run_id": origin.parent,
            "started_by": origin.started_by,
            "depth": origin.depth or None,
            "host": origin.host,
        }
        if origin.item is None:
            await self.log("run.start", fields, key=start_key(origin.key) if origin.key else None)
            return
        # Under a key that the item and the attempt make, so that the next attempt finds a run that was killed.
        for attempt in range(1, MAX_ATTEMPTS + 1):
            suffix = f":{attempt}" if attempt > 1 else ""
            try:
                await self.log("run.start", fields, key=f"start:{origin.item}{suffix}")
                return
            except Conflict:
                continue
        raise Unavailable(f"the item {origin.item} was tried too often", hint="look at it: mcp-host queue")

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
                "model": self.model or None,
                "input_tokens": self.usage.input_tokens,
                "output_tokens": self.usage.output_tokens,
                "cache_hit_tokens": self.usage.cache_read,
                "cache_miss_tokens": self.usage.cache_write,
                "cost_usd": round(self.cost_usd, 6),
                "cost_estimated_via_fallback": self.cost_estimated or None,
                "cost_source": "actor",
                "latency_ms": round(elapsed_seconds * 1000, 1),
                "tool_iterations": self.iterations,
                "questions": list(dict.fromkeys((*self.questions, *self.below))) or None,
                "error": {"code": error.code, "message": error.message} if error else None,
            },
            key=end_key(self.id),
        )


def start_key(key: str) -> str:
    """Under which the start of a run that a caller named *key* stands in its agent's log."""
    return f"run:{key}"


def end_key(run: str) -> str:
    """Under which the end of *run* stands in its agent's log: there is one."""
    return f"end:{run}"


def task_hash(task: str) -> str:
    """What tells whether a key is used for the same task again."""
    return sha256_hex(task.encode("utf-8", "surrogatepass"))


async def close_killed(chain: Chain, agent: str, run: str) -> bool:
    """Say in the log, once, that the process of *run* ended in the middle of it; a run that has its end is left.

    Whether that is how it ended.
    """
    ended = await chain.find(agent, WRITER, end_key(run))
    if ended is not None:
        return ended.event.get("summary") == KILLED
    event = {
        "kind": "run.end",
        "run_id": run,
        "agent_name": agent,
        "primitive": "agent_call",
        "status": "interrupted",
        "summary": KILLED,
    }
    try:
        await chain.append(agent, WRITER, event, key=end_key(run))
    except Conflict:  # whoever was first is right: its own end may have come meanwhile
        return False
    return True


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
