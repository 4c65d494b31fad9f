"""The goal an agent works towards now, as its file says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from argosy_core.frontmatter import Page, parse

_CLOSED = ("complete", "abandoned", "skipped")
_PRIORITIES = ("high", "medium", "low")
_NO_GOALS = ("INDEX.md", "README.md")
_LATEST = "9999"


@dataclass(frozen=True, slots=True)
class GoalText:
    """A goal's file as it stands. *rank* sorts the goal to work on first to the front."""

    path: str
    text: str
    rank: tuple[int, str, str]
    degraded: str | None

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1].removesuffix(".md")


def is_goal_name(name: str) -> bool:
    """Whether a file of this name in ``goals/`` is a goal."""
    return name.endswith(".md") and name not in _NO_GOALS


def read_active_goal(path: str, text: str) -> GoalText | None:
    """The goal in *text*; None when it is closed or put aside."""
    page = parse(text)
    if not _is_active(page):
        return None
    priority: Any = page.fields.get("priority")
    rank = _PRIORITIES.index(priority) if priority in _PRIORITIES else 1
    deadline = str(page.fields.get("deadline") or _LATEST)[:10]
    return GoalText(path, text, (rank, deadline, path), page.degraded)


def _is_active(page: Page) -> bool:
    # A status nobody knows is not closed: a slip of the pen must not make a goal vanish.
    return page.fields.get("active", True) is not False and page.fields.get("status") not in _CLOSED
