"""What the log's tools return."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from argosy_core.serving.results import Page, Result
from argosy_log.outline import SHOWN_FIELDS_CHARS, figures, one_line


class Appended(Result):
    """Where a new event stands."""

    stream: str
    writer: str
    seq: int
    hash: str

    def render(self) -> str:
        return f"{self.stream}/{self.writer} #{self.seq} {self.hash}"


class LogItem(Result):
    """One event; *writer* and *seq* are null for lines of a system that keeps no chain."""

    stream: str
    writer: str | None
    seq: int | None
    ts: str | None = Field(description="RFC 3339 UTC")
    kind: str
    run: str | None
    status: str | None
    summary: str | None
    fields: dict[str, Any] = Field(description="The event's other fields; long ones are cut")

    def render(self) -> str:
        shown = ", ".join(f"{one_line(name)}={one_line(value)}" for name, value in self.fields.items())
        words = (self.ts or "no time", self.stream, self.kind, self.status, self.run, self.summary)
        return " ".join([*map(one_line, filter(None, words)), shown[:SHOWN_FIELDS_CHARS]]).rstrip()


class LogPage(Page[LogItem]):
    """Events, newest first; *notes* name lines that could not be read."""

    notes: list[str] = Field(default_factory=list[str])

    def render(self) -> str:
        return "\n".join([super().render(), *(f"Note: {note}" for note in self.notes)])


class StreamHead(Result):
    """The last entry of one writer in one stream."""

    stream: str
    writer: str
    seq: int
    hash: str

    def render(self) -> str:
        return f"{self.stream}/{self.writer} #{self.seq} {self.hash}"


class HeadPage(Page[StreamHead]):
    """Heads, by stream and writer."""


class ChainFinding(BaseModel):
    """One place where a chain does not hold; *seq* is the entry where it begins."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    kind: str
    stream: str
    writer: str
    seq: int
    file: str
    detail: str


class Verified(Result):
    """What checking the chains gave; *unchained* lines are an older system's, outside any chain."""

    ok: bool
    entries: int
    unchained: int
    findings: list[ChainFinding]
    left_out: int = Field(default=0, description="Findings beyond those shown")
    notes: list[str] = Field(default_factory=list[str], description="Anchors that could not be read")

    def render(self) -> str:
        lines = [f"{'ok' if self.ok else 'NOT ok'}: {self.entries} entries checked, {self.unchained} outside the chain"]
        lines += [f"{f.kind} {f.stream}/{f.writer} #{f.seq} [{f.file}]: {f.detail}" for f in self.findings]
        lines += [f"and {self.left_out} more findings"] if self.left_out else []
        return "\n".join([*lines, *(f"Note: {note}" for note in self.notes)])


class AnchoredHead(StreamHead):
    """A head as it was written down; *count* entries stood in the stream then."""

    time: str
    count: int


class Anchored(Result):
    """What was written down, in each stream's log/anchors.md and in the fleet's stream."""

    items: list[AnchoredHead]

    def render(self) -> str:
        return "\n".join(item.render() for item in self.items) or "No head has moved since the last anchor."


class Redacted(Result):
    """An entry without its text; *told_by* is the number of the redaction event of the writer `log`."""

    stream: str
    writer: str
    seq: int
    hash: str
    told_by: int


class Exported(Result):
    """One page of the log: *content* is whole lines."""

    format: str
    content: str
    lines: int = Field(description="Events in this page")
    next_cursor: str | None = None
    notes: list[str] = Field(default_factory=list[str])

    def render(self) -> str:
        more = [f"More: cursor={self.next_cursor}"] if self.next_cursor else []
        return "\n".join([self.content.rstrip("\n"), *more, *(f"Note: {note}" for note in self.notes)])


class AggregateGroup(Result):
    """Events with equal values of the fields asked for; null where an event does not say."""

    key: dict[str, str | None]
    value: float | None = Field(description="USD, tokens, milliseconds, or how many")
    events: int

    def render(self) -> str:
        named = " ".join(f"{name}={one_line(value) if value is not None else '-'}" for name, value in self.key.items())
        return f"{named or 'all'}: {'-' if self.value is None else f'{self.value:.6g}'} ({self.events} events)"


class AggregatePage(Page[AggregateGroup]):
    """Groups, the greatest first, or by time. A percentile may be off by *relative_error* of itself; 0: exact."""

    measure: str
    stat: str
    groups: int = Field(description="How many there are on all pages")
    relative_error: float
    notes: list[str] = Field(default_factory=list[str])

    def render(self) -> str:
        about = f"{self.stat} of {self.measure}" + (f" (± {self.relative_error:.0%})" if self.relative_error else "")
        return "\n".join([about, super().render(), *(f"Note: {note}" for note in self.notes)])


class TraceStep(BaseModel):
    """One thing a run did; *seq* is the event's number within its *writer*."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    seq: int | None
    writer: str | None
    ts: str | None
    kind: str
    name: str | None
    status: str | None
    verdict: str | None
    latency_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    detail: str | None

    def outline(self) -> str:
        """The step in one line."""
        cost = figures(self.latency_ms, self.input_tokens, self.output_tokens, self.cost_usd)
        words = (self.ts[11:19] if self.ts else "--:--:--", self.kind, self.name, self.status, self.verdict, cost)
        return " ".join([*map(one_line, filter(None, words)), *([f"— {one_line(self.detail)}"] if self.detail else [])])


class RunNode(Result):
    """A run with its steps and the runs below it. Figures are the run's own, without those below."""

    run: str
    agent: str | None
    status: str = Field(description="ok, error, blocked, deferred, interrupted, budget, in_flight or unknown")
    task: str | None
    summary: str | None
    error: str | None
    started_at: str | None
    ended_at: str | None
    model: str | None
    steps: list[TraceStep]
    input_tokens: int
    output_tokens: int
    cost_usd: float
    latency_ms: float
    children: list[RunNode]
    left_out: int = Field(default=0, description="Steps and runs beyond the bound of one trace")

    def outline(self, indent: str = "") -> list[str]:
        """The run and everything below it, one line each."""
        cost = figures(self.latency_ms, self.input_tokens, self.output_tokens, self.cost_usd)
        words = (self.run, self.agent, self.status, self.started_at, cost, self.model)
        lines = [indent + " ".join(map(one_line, filter(None, words)))]
        below = f"{indent}  "
        for name, text in (("task", self.task), ("summary", self.summary), ("error", self.error)):
            lines += [f"{below}{name}: {one_line(text)}"] if text else []
        lines += [below + step.outline() for step in self.steps]
        for child in self.children:
            lines += child.outline(below)
        return lines + ([f"{below}… {self.left_out} more not shown"] if self.left_out else [])


class RunTrace(RunNode):
    """The tree under the run that was asked for; *notes* name what could not be read."""

    notes: list[str] = Field(default_factory=list[str])

    def render(self) -> str:
        lines = self.outline()
        runs, tokens, cost = _sum(self)
        if runs > 1:
            lines.append(f"In all: {runs} runs, {tokens} tokens, ${cost:.4f}")
        return "\n".join([*lines, *(f"Note: {note}" for note in self.notes)])


def _sum(node: RunNode) -> tuple[int, int, float]:
    runs, tokens, cost = 1, node.input_tokens + node.output_tokens, node.cost_usd
    for child in node.children:
        below = _sum(child)
        runs, tokens, cost = runs + below[0], tokens + below[1], cost + below[2]
    return runs, tokens, cost
