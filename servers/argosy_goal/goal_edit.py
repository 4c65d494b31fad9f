"""Writing a goal's file: a new one, and changes that leave what a person wrote alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from argosy_core.frontmatter import edit, parse, render
from argosy_core.sections import end_of, headings
from argosy_core.storage.base import Content
from argosy_goal.goal_file import is_old, read_goal, status_of, text_of
from argosy_goal.models import Goal
from argosy_goal.statuses import OPEN
from argosy_goal.step_marks import set_in_step

HISTORY = "History"


def new_goal(fields: Mapping[str, Any], moment: datetime) -> str:
    """The file of a new goal."""
    return render(fields, f"# {fields['title']}\n\n## {HISTORY}\n\n- {moment:%Y-%m-%d}: goal set.\n")


def set_step_status(content: Content, goal: Goal, step: str, to: str, moment: datetime) -> str:
    """The file with the step's status changed, and its day of completion with it."""
    position = [s.id for s in goal.steps].index(step)
    changes: dict[str, Any] = {"status": to}
    if to == "complete":
        changes["completed"] = f"{moment:%Y-%m-%d}"
    elif goal.steps[position].completed is not None:
        changes["completed"] = None
    return set_in_step(text_of(content), position, changes)


def set_goal_status(content: Content, goal: Goal, to: str) -> str:
    """The file with the goal's status changed. The older format says it with ``active`` alone where that is enough."""
    text = text_of(content)
    changed = edit(text, {"active": to in OPEN})
    page = parse(changed)
    enough = is_old(content.path) and "status" not in page.fields and status_of(page, content.path, goal.steps) == to
    return changed if enough else edit(changed, {"status": to})


def set_outcome(content: Content, goal: Goal, step: str | None, result: str) -> str:
    """The file with what came of a step, or of the goal."""
    text = text_of(content)
    if step is None:
        return edit(text, {"outcome": result})
    return set_in_step(text, [s.id for s in goal.steps].index(step), {"output": result})


def add_steps(content: Content, steps: Sequence[Mapping[str, Any]]) -> str:
    """The file with *steps* after those it has."""
    text = text_of(content)
    present: list[Any] = parse(text).fields.get("sub_goals") or []
    return edit(text, {"sub_goals": [*present, *steps]})


def with_history(text: str, moment: datetime, line: str) -> str:
    """*text* with a line at the end of its history; the section is made where there is none."""
    body = parse(text).body
    head, found = text[: len(text) - len(body)], headings(body)
    eol = "\r\n" if "\r\n" in text else "\n"
    entry = f"- {moment:%Y-%m-%d}: {' '.join(line.split())}{eol}"
    sections = [h for h in found if h.level == 2 and h.text == HISTORY]
    if not sections:
        gap = eol if not body or body.endswith("\n") else eol * 2
        return f"{text}{gap}## {HISTORY}{eol}{eol}{entry}"
    at = end_of(sections[-1], found, body)
    before = body[:at].rstrip()
    after = body[len(before) :].removeprefix(eol)
    gap = eol if body[sections[-1].end : at].strip() else eol * 2
    return f"{head}{before}{gap}{entry}{after}"


def check_result(path: str, text: str) -> bytes:
    """*text* as it may be written: what was readable stays readable. Raises Corrupted when it would not."""
    data = text.encode()
    read_goal(Content(path, data, "", (0, 0)))
    return data
