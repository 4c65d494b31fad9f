"""What the desk's tools return."""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field

from argosy_core.serving.results import Page, Result
from argosy_desk.kinds import Decision, Kind, State, Urgency


class Question(Result):
    """Something a person must decide, and the answer once there is one."""

    question: str = Field(description="Its id")
    kind: Kind
    state: State
    title: str
    path: str
    agent: str
    body: str
    options: list[str] = Field(default_factory=list[str])
    answer_schema: dict[str, Any] | None = Field(default=None, description="JSON Schema of the answer to an input")
    default: str | None = None
    urgency: Urgency
    asked_at: str | None = None
    decision: Decision | None = None
    choice: Any = None
    amendment: dict[str, Any] | None = None
    answered_by: str | None = None
    answered_at: str | None = None
    note: str | None = None
    binding: dict[str, Any] | None = Field(default=None, description="The exact call that waits for the answer")
    tampered: bool = Field(default=False, description="The call in the file is not the one that was asked")
    problem: str | None = Field(default=None, description="Why the file cannot be read, with the line")
    version: str
    uri: str
    how_to_answer: str | None = None

    def render(self) -> str:
        head = f"{self.question} [{self.state}, {self.kind}, {self.urgency}] {self.title}"
        lines = [head, *([self.body] if self.body else [])]
        if self.binding is not None:
            lines.append(f"Waits for the answer: {_short(self.binding)}")
        if self.tampered:
            lines.append("Warning: the call in the file is not the one that was asked.")
        if self.options:
            lines.append(f"Options: {' | '.join(self.options)}{f' (default {self.default})' if self.default else ''}")
        if self.decision is not None:
            choice = f": {self.choice}" if self.decision == "answered" else ""
            lines.append(f"{self.decision}{choice} by {self.answered_by}{f', {self.note}' if self.note else ''}")
        lines += [f"Problem: {self.problem}"] if self.problem else []
        lines += [self.how_to_answer] if self.how_to_answer else []
        return "\n".join(lines)


class QuestionPage(Page[Question]):
    """Questions that wait, the most urgent first, then the oldest."""


def _short(binding: dict[str, Any]) -> str:
    named = {name: binding[name] for name in ("tool_name", "tool_arguments", "arguments") if name in binding}
    text = json.dumps(named or binding, ensure_ascii=False)
    return text if len(text) <= 2000 else f"{text[:2000]}… (desk_get has all of it)"
