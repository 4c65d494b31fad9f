"""Reading a goal's file: the fields of its head are the goal, ``sub_goals`` its steps; prose below.

Two places: ``<agent>/goals/<goal>.md``, whose name is the goal's id, and the older single ``<agent>/goal.md``, which
states no status: it is open while ``active`` is true.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from argosy_core.clock import parse_time
from argosy_core.errors import Corrupted
from argosy_core.frontmatter import Page, key_line, parse
from argosy_core.sections import headings, section
from argosy_core.storage.base import Content
from argosy_goal.models import Goal, Progress, Step
from argosy_goal.statuses import OPEN, PRIORITIES, STATUSES, Priority, Status
from argosy_goal.step_marks import line_of_step

FOLDER = "goals"
OLD_NAME = "goal.md"
OLD_ID = "goal"
TITLE_CHARS = 200


def path_of(agent: str, goal: str) -> str:
    """Where a goal of the present format is kept."""
    return f"{agent}/{FOLDER}/{goal}.md"


def is_old(path: str) -> bool:
    """Whether *path* is the older single goal of an agent."""
    return path.count("/") == 1 and path.endswith(f"/{OLD_NAME}")


def text_of(content: Content) -> str:
    """The file as text. Raises Corrupted, with the line, when it is not UTF-8."""
    try:
        return content.data.decode()
    except UnicodeDecodeError as exc:
        line = content.data[: exc.start].count(b"\n") + 1
        raise _broken(content.path, line, "not UTF-8", "save the file as UTF-8") from exc


def read_goal(content: Content) -> Goal:
    """The goal in *content*. Raises Corrupted, with the line, for a file that cannot be read as one."""
    text = text_of(content)
    page = parse(text)
    path = content.path
    if page.degraded is not None:
        raise _broken(path, _line_in(page.degraded), page.degraded.partition(": ")[2], "mend the line")
    if not page.fields:
        raise _broken(path, 1, "no fields between two --- lines", "add title and status at its top")
    steps = _steps(page, path)
    problems: list[str] = []
    intent = _text(page.fields.get("intent")) or ""
    goal = id_of(path, page)
    return Goal(
        goal=goal,
        title=_title(page, intent, goal),
        status=status_of(page, path, steps),
        version=content.version,
        why=section(page.body, "Why") or intent,
        intent=intent,
        priority=_priority(page, path, problems),
        deadline=_deadline(page, path, problems),
        created=_text(page.fields.get("created")),
        parent=_text(page.fields.get("parent_goal")),
        success_criteria=_texts(page.fields.get("success_criteria")),
        steps=steps,
        progress=Progress.of(steps),
        next_steps=_next_steps(steps),
        outcome=_text(page.fields.get("outcome")),
        uri=f"goal://{goal}",
        path=path,
        problems=problems,
    )


def id_of(path: str, page: Page) -> str:
    """The id of the goal at *path*: the name of its file; the older single goal may state its own."""
    if is_old(path):
        return _text(page.fields.get("goal")) or OLD_ID
    return path.rsplit("/", 1)[-1].removesuffix(".md")


def status_of(page: Page, path: str, steps: list[Step]) -> Status:
    """The stated status, or what ``active`` and the steps say where none is. Raises Corrupted for an unknown one."""
    stated = page.fields.get("status")
    if stated is not None:
        return _status(stated, path, key_line(page, "status"))
    if page.fields.get("active", True) is not False:
        return "in_progress"
    done = bool(steps) and not any(step.status in OPEN for step in steps)
    return "complete" if done else "abandoned"


def _title(page: Page, intent: str, goal: str) -> str:
    head = next((h.text for h in headings(page.body) if h.level == 1), "")
    title = _text(page.fields.get("title")) or head or intent
    return " ".join(title.split("\n", 1)[0].split())[:TITLE_CHARS] or goal


def _priority(page: Page, path: str, problems: list[str]) -> Priority:
    stated: object = page.fields.get("priority") or "medium"
    for priority in PRIORITIES:
        if priority == stated:
            return priority
    problems.append(f"{path}:{key_line(page, 'priority')}: priority is one of {', '.join(PRIORITIES)}; read as medium")
    return "medium"


def _deadline(page: Page, path: str, problems: list[str]) -> str | None:
    stated = _text(page.fields.get("deadline"))
    if stated is not None and not is_time(stated):
        problems.append(f"{path}:{key_line(page, 'deadline')}: the deadline is not a date (YYYY-MM-DD)")
    return stated


def is_time(text: str) -> bool:
    """Whether *text* is a date or a time."""
    try:
        parse_time(text)
    except (ValueError, OverflowError):
        return False
    return True


def _steps(page: Page, path: str) -> list[Step]:
    listed: Any = page.fields.get("sub_goals") or []
    if not isinstance(listed, list):
        raise _broken(path, key_line(page, "sub_goals"), "sub_goals is not a list", "write each step as '- id: …'")
    steps = [_step(item, page, path, at) for at, item in enumerate(cast("list[object]", listed))]
    seen: set[str] = set()
    for at, step in enumerate(steps):
        if step.id in seen:
            line = line_of_step(page, at, "id")
            raise _broken(path, line, f"the step id {step.id} stands here a second time", "give each step its own id")
        seen.add(step.id)
    return steps


def _step(item: object, page: Page, path: str, position: int) -> Step:
    fields = cast("dict[str, Any]", item) if isinstance(item, dict) else dict[str, Any]()
    step_id = _text(fields.get("id"))
    if step_id is None:
        raise _broken(path, line_of_step(page, position), "a step has no id", "write '- id: s1' and a label below it")
    return Step(
        id=step_id,
        label=_text(fields.get("label")) or step_id,
        status=_status(fields.get("status") or "pending", path, line_of_step(page, position, "status")),
        assigned=_text(fields.get("assigned")),
        deadline=_text(fields.get("deadline")),
        blocked_by=_texts(fields.get("blocked_by")),
        completed=_text(fields.get("completed")),
        output=_text(fields.get("output")),
        body=_text(fields.get("body")),
        acceptance_criteria=_texts(fields.get("acceptance_criteria")),
    )


def _status(stated: object, path: str, line: int) -> Status:
    for status in STATUSES:
        if status == stated:
            return status
    raise _broken(path, line, f"{str(stated)[:40]!r} is not a status", f"write one of {', '.join(STATUSES)}")


def _next_steps(steps: list[Step]) -> list[str]:
    finished = {step.id for step in steps if step.status not in OPEN}
    ready = [s for s in steps if s.status == "pending" and finished.issuperset(s.blocked_by)]
    return [step.label for step in (*(s for s in steps if s.status == "in_progress"), *ready)]


def _text(value: object) -> str | None:
    if value is None or isinstance(value, Mapping | list):
        return None
    return str(value).strip() or None


def _texts(value: object) -> list[str]:
    listed = cast("list[object]", value) if isinstance(value, list) else [value]
    return [text for item in listed if (text := _text(item)) is not None]


def _line_in(reason: str) -> int:
    number = reason.removeprefix("line ").partition(":")[0]
    return int(number) if number.isdecimal() else 1


def _broken(path: str, line: int, reason: str, hint: str) -> Corrupted:
    return Corrupted(f"{path}:{line}: {reason}", hint=hint, path=path, line=line)
