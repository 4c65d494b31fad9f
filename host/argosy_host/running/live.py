"""A run of this process while it goes on: what watchers see of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio import CancelScope

from argosy_core.errors import ArgosyError
from argosy_host.progress import Progress
from argosy_host.runs import RunResult

STEPS_KEPT = 50
STEP_CHARS = 200
TEXT_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Starter:
    """Who starts a run: an agent, and the run it does so in; an operator may be no agent at all. *principal* is whose
    run it will be."""

    agent: str | None
    run: str | None = None
    principal: str | None = None
    grant: str | None = None  # as its token carries it

    @property
    def name(self) -> str:
        """What the log says of it."""
        return self.agent or "operator"


@dataclass(slots=True)
class Live:
    """One run; *recorded* is set once its start is in the log, *ended* when it is over, with *result* or *error*."""

    run: str
    agent: str
    task: str
    starter: Starter
    started_at: str
    depth: int
    began: float = 0.0
    chain: tuple[str, ...] = ()  # of the agents that handed the work on
    scope: CancelScope = field(default_factory=CancelScope)
    recorded: anyio.Event = field(default_factory=anyio.Event)
    ended: anyio.Event = field(default_factory=anyio.Event)
    changed: anyio.Event = field(default_factory=anyio.Event)
    steps: deque[str] = field(default_factory=lambda: deque[str](maxlen=STEPS_KEPT))
    done: int = 0
    text: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    result: RunResult | None = None
    error: ArgosyError | None = None


class Watcher(Progress):
    """Notes what a run tells, and rings *changed* for those who wait."""

    def __init__(self, live: Live, ring: Callable[[str], None]) -> None:
        self._live = live
        self._ring = ring

    def started(self, run: str, agent: str, model: str, tools: int) -> None:
        self._live.recorded.set()
        self._step(f"started on {model} with {tools} tools")

    def thinking(self, iteration: int) -> None:
        self._live.text = ""
        self._step(f"turn {iteration}")

    def text(self, text: str) -> None:
        self._live.text = (self._live.text + text)[-TEXT_CHARS:]

    def calling(self, tool: str, arguments: Mapping[str, Any]) -> None:
        self._step(f"calls {tool}")

    def judged(self, tool: str, verdict: str, reason: str) -> None:
        self._step(f"{tool} judged: {verdict}, {reason}")

    def returned(self, tool: str, milliseconds: float, is_error: bool, summary: str) -> None:
        self._step(f"{tool} {'failed: ' + summary if is_error else 'answered'} ({milliseconds:.0f} ms)")

    def spent(self, input_tokens: int, output_tokens: int, cost_usd: float) -> None:
        live = self._live
        live.input_tokens, live.output_tokens, live.cost_usd = input_tokens, output_tokens, cost_usd

    def paused(self) -> None:
        self._step("paused")

    def problem(self, text: str) -> None:
        self._step(f"problem: {text}")

    def _step(self, text: str) -> None:
        live = self._live
        live.steps.append(" ".join(text.split())[:STEP_CHARS])
        live.done += 1
        changed, live.changed = live.changed, anyio.Event()
        changed.set()
        self._ring(live.run)
