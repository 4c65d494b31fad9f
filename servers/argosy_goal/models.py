"""What the goal server's tools return."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from argosy_core.serving.results import Page, Result
from argosy_goal.statuses import OPEN, Priority, Status, spoken


class Step(BaseModel):
    """One step, a sub-goal of the file."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    id: str
    label: str
    status: Status
    assigned: str | None = None
    deadline: str | None = None
    blocked_by: list[str] = Field(default_factory=list[str], description="Ids of steps, or what it waits for")
    completed: str | None = None
    output: str | None = Field(default=None, description="What came of it")
    body: str | None = None
    acceptance_criteria: list[str] = Field(default_factory=list[str])

    def render(self) -> str:
        extra = {"due": self.deadline, "waits for": ", ".join(self.blocked_by), "outcome:": self.output}
        shown = "; ".join(f"{name} {value}" for name, value in extra.items() if value)
        return f"- {self.id} [{self.status}] {self.label}{f' ({shown})' if shown else ''}"


class Progress(BaseModel):
    """Steps done, of those that count: skipped and abandoned ones do not."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    done: int
    total: int

    @classmethod
    def of(cls, steps: list[Step]) -> Progress:
        """The progress that *steps* show."""
        counted = [step.status for step in steps if step.status not in ("skipped", "abandoned")]
        return cls(done=counted.count("complete"), total=len(counted))


class Goal(Result):
    """A goal with its steps; *version* is that of its file."""

    goal: str = Field(description="Its id")
    title: str
    status: Status
    version: str
    why: str
    intent: str
    priority: Priority
    deadline: str | None = None
    created: str | None = None
    parent: str | None = None
    success_criteria: list[str] = Field(default_factory=list[str])
    steps: list[Step]
    progress: Progress
    next_steps: list[str] = Field(description="Labels of the steps to work on now")
    outcome: str | None = None
    uri: str
    path: str
    duplicate: bool = Field(default=False, description="True when the key was used before: nothing was made")
    problems: list[str] = Field(default_factory=list[str], description="What in the file could not be read as meant")

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    def item(self) -> GoalItem:
        """The goal as a line of a list."""
        return GoalItem.model_validate(self.model_dump(include=set(GoalItem.model_fields)))

    def render(self) -> str:
        due = f", due {self.deadline}" if self.deadline else ""
        lines = [f"{self.title} [{self.status}, {self.priority}{due}] {self.goal}"]
        lines += [f"Why: {self.why}"] if self.why else []
        lines += [f"Outcome: {self.outcome}"] if self.outcome else []
        lines += [step.render() for step in self.steps]
        if self.steps:
            lines.append(f"{self.progress.done} of {self.progress.total} steps done. {self._outlook()}".rstrip())
        lines += [f"Problem: {problem}" for problem in self.problems]
        return "\n".join([*lines, f"version: {self.version}"])

    def _outlook(self) -> str:
        left = [step for step in self.steps if step.status in OPEN]
        if self.is_open and not left:
            return "No step is open: the goal can be moved to complete with goal_transition."
        if not self.is_open and left:
            return f"Still open although the goal is {spoken(self.status)}: {', '.join(step.id for step in left)}."
        return f"Next: {'; '.join(self.next_steps)}" if self.next_steps else ""


class GoalItem(Result):
    """A goal in a list."""

    goal: str
    title: str
    status: Status
    priority: Priority
    deadline: str | None
    progress: Progress
    why: str
    uri: str

    def render(self) -> str:
        due = f", due {self.deadline}" if self.deadline else ""
        return (
            f"{self.goal} [{self.status}, {self.priority}{due}] {self.title} "
            f"({self.progress.done}/{self.progress.total} steps)"
        )


class GoalPage(Page[GoalItem]):
    """Goals, open ones first; *problems* names the files that could not be read and are not among them."""

    problems: list[str] = Field(default_factory=list[str])

    def render(self) -> str:
        return "\n".join([super().render(), *(f"Problem: {problem}" for problem in self.problems)])
