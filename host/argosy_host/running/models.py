"""What the host's tools return."""

from __future__ import annotations

from pydantic import Field

from argosy_core.serving.results import Page, Result


class RunState(Result):
    """One run as far as it is."""

    run: str
    agent: str
    status: str = Field(description="in_flight, ok, error, blocked, deferred, budget or interrupted")
    task: str
    text: str = Field(description="The answer; so far, while it goes on")
    steps: list[str] = Field(default_factory=list[str], description="What it did last, while it goes on")
    questions: list[str] = Field(default_factory=list[str], description="What waits for a person")
    error: str | None = None
    parent: str | None = None
    started_by: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    model: str | None = None
    cost_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    uri: str

    def render(self) -> str:
        lines = [f"{self.run} ({self.agent}): {self.status}"]
        if self.status == "in_flight":
            lines += [*(f"  {step}" for step in self.steps[-5:]), f"run_status with run {self.run!r} says how it goes"]
        if self.questions:
            lines.append(f"waits for a person: {', '.join(self.questions)}")
        if self.error:
            lines.append(f"failed: {self.error}")
        return "\n".join([*lines, self.text] if self.text else lines)


class RunItem(Result):
    """A run in a list."""

    run: str
    agent: str
    status: str
    task: str
    trigger: str | None
    started_by: str | None
    started_at: str | None
    ended_at: str | None
    cost_usd: float
    uri: str

    def render(self) -> str:
        return f"{self.run} {self.agent} {self.status} ${self.cost_usd:.4f} {self.task}"


class RunPage(Page[RunItem]):
    """Runs, the newest first."""
