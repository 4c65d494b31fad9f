"""What the scheduler's tools return."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from argosy_core.serving.results import Page, Result

_TASK_CHARS_IN_LISTS = 200


class Schedule(Result):
    """A trigger: when it fires, who then gets which task. Times are UTC."""

    name: str
    when: dict[str, Any]
    target: dict[str, str]
    timezone: str
    misfire: str
    jitter_s: int
    enabled: bool
    input: str = Field(description="The task")
    next: str | None = Field(default=None, description="When it fires next, if a clock says so")
    last: str | None = Field(default=None, description="The slot it fired last; schedule_get only")
    creator: str | None = Field(default=None, description="The agent that made it; null for a person")
    note: str | None = None
    path: str
    uri: str
    version: str

    def render(self, task_chars: int | None = None) -> str:
        when = " ".join(f"{kind} {_plain(value)}" for kind, value in self.when.items())
        zone = f" {self.timezone}" if self.timezone != "UTC" else ""
        target = " ".join(f"{kind} {name}" for kind, name in self.target.items())
        off = "" if self.enabled else " [off]"
        line = f"{self.name}{off}: {when}{zone} → {target}; next {self.next or '–'}"
        line += f"; last {self.last}" if self.last else ""
        line += f"; misfire {self.misfire}" if self.misfire != "skip" else ""
        line += f"; made by {self.creator}" if self.creator else ""
        return "\n".join(
            [line, *([self.note] if self.note else []), *([_cut(self.input, task_chars)] if self.input else [])]
        )


class SchedulePage(Page[Schedule]):
    """Triggers in name order."""

    problems: list[str] = Field(default_factory=list[str], description="Files that cannot be read, with their line")

    def render(self) -> str:
        shown = [schedule.render(_TASK_CHARS_IN_LISTS) for schedule in self.items]
        shown += [f"Problem: {problem}" for problem in self.problems]
        shown += [f"More: cursor={self.next_cursor}"] if self.next_cursor else []
        return "\n".join(shown) or "Nothing is scheduled."


class Deleted(Result):
    """A trigger that fires no more; its file lies at *path*."""

    name: str
    path: str

    def render(self) -> str:
        return f"{self.name} fires no more; its file is kept at {self.path}"


class Slot(Result):
    """A time at which a trigger will fire: *slot* names it, *due* is when, jitter included; both UTC."""

    slot: str
    due: str
    local: str = Field(description="The slot in the trigger's time zone")

    def render(self) -> str:
        return f"{self.due} ({self.local})" if self.due != self.local else self.due


class Upcoming(Page[Slot]):
    """The next times of one trigger."""

    name: str
    note: str | None = None

    def render(self) -> str:
        return "\n".join([*([self.note] if self.note else []), *(slot.render() for slot in self.items)])


class FiredItem(Result):
    """The work that a firing became."""

    name: str
    slot: str
    queue: str
    item: str | None
    key: str

    def render(self) -> str:
        return f"{self.name} fired: {self.item} waits in {self.queue}" if self.item else f"{self.name} had fired before"


class HistoryEntry(Result):
    """Something that happened to a trigger."""

    at: str
    kind: str
    slot: str | None = None
    item: str | None = None
    detail: str | None = None

    def render(self) -> str:
        parts = (self.at, self.kind, self.slot and f"slot {self.slot}", self.item, self.detail)
        return " ".join(part for part in parts if part)


class HistoryPage(Page[HistoryEntry]):
    """What happened, newest first."""


def _plain(value: object) -> str:
    if isinstance(value, dict):
        parts: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        return " ".join(str(part) for part in parts.values())
    return str(value)


def _cut(text: str, most_chars: int | None) -> str:
    return text if most_chars is None or len(text) <= most_chars else f"{text[:most_chars]}…"
