"""What a doctor sees in goals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from argosy_core.errors import ArgosyError
from argosy_core.serving.results import DoctorFinding
from argosy_goal.models import Goal
from argosy_goal.statuses import OPEN


def inspect_goals(goals: Sequence[Goal], broken: Sequence[ArgosyError]) -> list[DoctorFinding]:
    """What is wrong with the files of one agent's goals."""
    findings = [_unreadable(error) for error in broken]
    known = {goal.goal for goal in goals}
    for goal in goals:
        findings += _problems(goal)
        findings += _loose_ends(goal, known)
    return findings or [DoctorFinding(status="pass", check="goal_files", message="every goal can be read")]


def _unreadable(error: ArgosyError) -> DoctorFinding:
    return DoctorFinding(
        status="fail",
        check="goal_files",
        message=error.message,
        file=error.detail.get("path"),
        line=error.detail.get("line"),
        fix=error.hint,
    )


def _problems(goal: Goal) -> Iterator[DoctorFinding]:
    for problem in goal.problems:
        place, _, message = problem.partition(": ")
        line = int(place.rsplit(":", 1)[1])
        yield DoctorFinding(
            status="warn", check="goal_fields", message=message, file=goal.path, line=line, fix="correct the line"
        )


def _loose_ends(goal: Goal, known: set[str]) -> Iterator[DoctorFinding]:
    if goal.parent is not None and goal.parent not in known:
        yield _warning(goal, f"its parent {goal.parent!r} is no goal here", "correct parent_goal, or take it out")
    ids = {step.id for step in goal.steps}
    for step in goal.steps:
        missing = [name for name in step.blocked_by if name not in ids]
        if missing and step.status in OPEN:
            yield _warning(
                goal, f"{step.id} waits for {', '.join(missing)}, no step of this goal", "correct blocked_by"
            )


def _warning(goal: Goal, message: str, fix: str) -> DoctorFinding:
    return DoctorFinding(status="warn", check="goal_links", message=message, file=goal.path, fix=fix)
