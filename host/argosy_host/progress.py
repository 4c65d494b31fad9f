"""What a run tells while it works; whoever watches implements what it wants to show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Progress:
    """Every method does nothing; a watcher overrides some."""

    def started(self, run: str, agent: str, model: str, tools: int) -> None:
        """The run exists in the log, and its context is assembled."""

    def read(self, names: list[str], chars: int) -> None:
        """The parts of the context, in order, and their length in all."""

    def thinking(self, iteration: int) -> None:
        """The model is asked."""

    def text(self, text: str) -> None:
        """A piece of the model's text as it streams."""

    def calling(self, tool: str, arguments: Mapping[str, Any]) -> None:
        """The model wants this call."""

    def judged(self, tool: str, verdict: str, reason: str) -> None:
        """The gate's verdict on a call above reading."""

    def returned(self, tool: str, milliseconds: float, is_error: bool, summary: str) -> None:
        """A call came back."""

    def spent(self, input_tokens: int, output_tokens: int, cost_usd: float) -> None:
        """The run's sums so far."""

    def paused(self) -> None:
        """Somebody paused the run; it goes on, or ends, when told so."""

    def problem(self, text: str) -> None:
        """Something is missing or broken and the run goes on without it."""
