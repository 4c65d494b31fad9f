"""The line that the agent's journal gets of a run that nobody watched: once, under the run's id, however it ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from argosy_core.errors import ArgosyError
from argosy_host.progress import Progress
from argosy_host.results import CallOutcome

MAX_TASK_CHARS = 200
MAX_SAID_CHARS = 500
TOOL = "journal_append"
Append = Callable[[str, Mapping[str, Any]], Awaitable[CallOutcome]]


async def narrate(
    append: Append, progress: Progress, *, run: str, trigger: str, task: str, status: str, said: str
) -> None:
    """Have *append* call the journal's tool; a journal that takes nothing is told of, and no run fails by it."""
    told = f"{trigger}: {_line(task, MAX_TASK_CHARS)} → {status}. {_line(said, MAX_SAID_CHARS)} ({run})"
    try:
        outcome = await append(TOOL, {"text": told, "tags": ["run"], "key": run})
    except ArgosyError as error:
        progress.problem(f"the journal was not written: {error}")
        return
    if outcome.is_error:
        progress.problem(f"the journal was not written: {outcome.text}")


def _line(text: str, most: int) -> str:
    return " ".join(text.split())[:most]
