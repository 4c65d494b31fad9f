"""What the desk's tools return."""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field

from argosy_core.attendance import Channel
from argosy_core.serving.results import Page, Result
from argosy_desk.kinds import Decision, Kind, State, Urgency

_BODY_CHARS_IN_LISTS = 400


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
    decide_by: str | None = Field(default=None, description="When the default answers it")
    tampered: bool = Field(default=False, description="The call in the file is not the one that was asked")
    high_risk: bool = Field(default=False, description="It is about an action of the highest class")
    attended: Channel | None = Field(default=None, description="How the person was there who answered, if shown")
    unattended: bool = Field(default=False, description="An answer stands in the file, but nobody showed to be there")
    problem: str | None = Field(default=None, description="Why the file cannot be read, with the line")
    version: str
    uri: str
    how_to_answer: str | None = None

    def render(self, body_chars: int | None = None) -> str:
        lines = [f"{self.question} [{self.state}, {self.kind}, {self.urgency}] {self.title}"]
        lines += [_cut(self.body, body_chars)] if self.body else []
        if self.binding is not None:
            lines.append(f"Waits for the answer: {_call(self.binding, body_chars)}")
        if self.tampered:
            lines.append("Warning: the call in the file is not the one that was asked.")
        if self.unattended and self.decision is None:
            lines.append("An answer stands in the file and does not count: it takes a person who is there.")
        if self.options:
            lines.append(f"Options: {' | '.join(self.options)}{f' (default {self.default})' if self.default else ''}")
        if self.decision is None and self.decide_by:
            lines.append(f"Without an answer by {self.decide_by}: {self.default}")
        if self.decision is not None:
            choice = f": {self.choice}" if self.decision == "answered" else ""
            lines.append(f"{self.decision}{choice} by {self.answered_by}{f', {self.note}' if self.note else ''}")
        lines += [f"Problem: {self.problem}"] if self.problem else []
        lines += [self.how_to_answer] if self.how_to_answer else []
        return "\n".join(lines)


class QuestionPage(Page[Question]):
    """Questions that wait, the most urgent first, then the oldest."""

    def render(self) -> str:
        shown = [question.render(_BODY_CHARS_IN_LISTS) for question in self.items]
        more = [f"More: cursor={self.next_cursor}"] if self.next_cursor else []
        return "\n\n".join([*shown, *more]) or "Nothing waits for a person."


def _call(binding: dict[str, Any], most_chars: int | None) -> str:
    named = {name: binding[name] for name in ("tool_name", "tool_arguments", "arguments") if name in binding}
    return _cut(json.dumps(named or binding, ensure_ascii=False), most_chars)


def _cut(text: str, most_chars: int | None) -> str:
    if most_chars is None or len(text) <= most_chars:
        return text
    return f"{text[:most_chars]}… (desk_get has all of it)"
