"""What callers give for a new goal or step, checked and in the form it is written in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from argosy_core.canonical import arguments_hash
from argosy_core.errors import AlreadyExists, InvalidArgument, TooLarge
from argosy_core.names import check_path
from argosy_goal.goal_file import TITLE_CHARS, is_time
from argosy_goal.statuses import Priority

MAX_STEPS = 200
MAX_WHY_CHARS = 8_000
MAX_NOTE_CHARS = 2_000
MAX_LABEL_CHARS = 500
_STEP_KEYS = ("id", "label", "assigned", "deadline", "blocked_by", "body", "acceptance_criteria")
_STEP_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")

StepDraft = str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GoalDraft:
    """A goal as asked for, checked."""

    title: str
    why: str
    steps: tuple[dict[str, Any], ...]
    priority: Priority
    deadline: str | None
    parent: str | None
    digest: str

    def fields(self, goal: str, moment: datetime, key: str | None) -> dict[str, Any]:
        """The head of its file."""
        fields = {
            "schema_version": 1,
            "goal": goal,
            "title": self.title,
            "intent": self.why,
            "status": "pending",
            "active": True,
            "priority": self.priority,
            "created": f"{moment:%Y-%m-%d}",
            "deadline": self.deadline,
            "last_progress_check": None,
            "success_criteria": [],
            "sub_goals": list(self.steps),
        }
        optional = {"parent_goal": self.parent, "key": key}
        return fields | {name: value for name, value in optional.items() if value is not None}


def draft_goal(
    title: str, why: str, steps: Sequence[StepDraft], priority: Priority, deadline: str | None, parent: str | None
) -> GoalDraft:
    """The goal that was asked for. Raises InvalidArgument and TooLarge."""
    arguments = {"title": title, "why": why, "steps": list(steps), "priority": priority, "deadline": deadline}
    digest = arguments_hash({**arguments, "parent": parent})
    title = _line(title, "title", TITLE_CHARS)
    why = why.strip()
    if not why:
        raise InvalidArgument("why is empty", hint="say in a sentence what the goal is good for")
    if len(why) > MAX_WHY_CHARS:
        raise TooLarge(f"why has at most {MAX_WHY_CHARS} characters", hint="write a note and name it in why")
    _check_deadline(deadline)
    return GoalDraft(title, why, tuple(draft_steps(steps, ())), priority, deadline, parent, digest)


def draft_steps(steps: Sequence[StepDraft], taken: Iterable[str]) -> list[dict[str, Any]]:
    """New steps in the form of the file, each with an id that is not *taken*.

    Raises InvalidArgument, TooLarge and AlreadyExists.
    """
    used = set(taken)
    if len(used) + len(steps) > MAX_STEPS:
        raise TooLarge(f"a goal has at most {MAX_STEPS} steps", hint="make a goal of its own, with this one as parent")
    asked = [_asked(step) for step in steps]
    for fields in asked:
        given = fields.get("id")
        if given in used:
            raise AlreadyExists(f"there is a step {given} already", hint="leave the id out, or choose another")
        used.add(given or "")
    numbers = (f"s{n}" for n in range(1, MAX_STEPS * 2 + 2))
    free = (name for name in numbers if name not in used)
    made = [_written({"id": fields.get("id") or next(free), **fields}) for fields in asked]
    known = used | {step["id"] for step in made}
    for step in made:
        waits = step["blocked_by"]
        if waits is not None and waits not in known:
            raise InvalidArgument(f"step {step['id']} waits for {waits!r}, which is no step", hint="name a step's id")
    return made


def check_note(text: str | None, name: str) -> None:
    """Raises InvalidArgument or TooLarge for a remark that cannot stand in a history."""
    if text is not None and len(text) > MAX_NOTE_CHARS:
        raise TooLarge(f"{name} has at most {MAX_NOTE_CHARS} characters", hint="write the rest into the journal")


def check_key(key: str | None) -> None:
    """Raises InvalidArgument for a key that cannot be kept."""
    if key is not None and (not key.strip() or len(key) > 200 or not key.isprintable()):
        raise InvalidArgument("a key is one line of 1 to 200 characters")


def check_goal_name(goal: str) -> str:
    """*goal* as it may be part of a path. Raises InvalidArgument."""
    if len(check_path(goal)) != 1 or goal.startswith("."):
        raise InvalidArgument("not the id of a goal", hint="goal_list shows the ids")
    return goal


def _asked(step: StepDraft) -> dict[str, Any]:
    fields = {"label": step} if isinstance(step, str) else dict(step)
    unknown = sorted(fields.keys() - set(_STEP_KEYS))
    if unknown:
        raise InvalidArgument(f"a step has no {', '.join(unknown)}", hint=f"it has: {', '.join(_STEP_KEYS)}")
    given = fields.get("id")
    if given is not None and (not isinstance(given, str) or not _STEP_ID.fullmatch(given)):
        raise InvalidArgument("a step's id is 1 to 64 letters, digits, '_', '-' or '.'")
    return {name: value for name, value in fields.items() if value is not None}


def _written(step: Mapping[str, Any]) -> dict[str, Any]:
    criteria: Any = step.get("acceptance_criteria", [])
    if not isinstance(criteria, list) or not all(isinstance(item, str) for item in criteria):  # pyright: ignore[reportUnknownVariableType]
        raise InvalidArgument("acceptance_criteria is a list of sentences")
    for name in ("assigned", "deadline", "blocked_by", "body"):
        if not isinstance(step.get(name, ""), str):
            raise InvalidArgument(f"a step's {name} is text")
    _check_deadline(step.get("deadline"))
    fields: dict[str, Any] = {
        "id": step["id"],
        "label": _line(step.get("label", ""), "label", MAX_LABEL_CHARS),
        "status": "pending",
        "assigned": step.get("assigned"),
        "deadline": step.get("deadline"),
        "blocked_by": step.get("blocked_by"),
        "completed": None,
        "output": None,
    }
    fields |= {"body": step["body"]} if "body" in step else {}
    return fields | ({"acceptance_criteria": criteria} if criteria else {})


def _line(text: Any, name: str, longest: int) -> str:
    if not isinstance(text, str) or not (line := " ".join(text.split())):
        raise InvalidArgument(f"{name} is empty", hint=f"give a {name}")
    if len(line) > longest:
        raise TooLarge(f"{name} has at most {longest} characters", hint="shorten it")
    return line


def _check_deadline(deadline: str | None) -> None:
    if deadline is not None and not is_time(deadline):
        raise InvalidArgument(f"not a date: {deadline[:40]!r}", hint="write the deadline as YYYY-MM-DD")
