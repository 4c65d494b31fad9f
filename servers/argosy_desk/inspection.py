"""What a doctor sees in a question's file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from argosy_core.clock import parse_time
from argosy_core.serving.results import DoctorFinding
from argosy_core.storage.base import Content
from argosy_desk.reading import read_question

COPIES = re.compile(r"conflicted copy|sync-conflict|\(\d+\)\.md$| copy\.md$", re.IGNORECASE)


def inspect_conflicts(paths: Sequence[str]) -> Iterator[DoctorFinding]:
    """Questions that stand in two files: an answer in one of them may be the one that nobody reads."""
    seen: dict[str, str] = {}
    for path in paths:
        name = path.rpartition("/")[2]
        twin = seen.setdefault(name, path)
        if twin != path or COPIES.search(name):
            yield DoctorFinding(
                status="fail",
                check="escalation_conflicts",
                message=f"this is the same question as {twin}" if twin != path else "this is a copy of a question",
                file=path,
                fix="keep one of the files, with the answer in it",
            )


def inspect_question(content: Content) -> Iterator[DoctorFinding]:
    """What is wrong with the question in *content*."""
    question = read_question(content)
    if question.problem is not None:
        place, _, reason = question.problem.partition(": ")
        yield DoctorFinding(
            status="fail",
            check="questions",
            message=reason,
            file=question.path,
            line=int(place.removeprefix("line ")),
            fix="mend the line; until then nothing is decided",
        )
    if question.decide_by is not None and not _is_time(question.decide_by):
        yield DoctorFinding(
            status="warn",
            check="questions",
            message=f"decide_by {question.decide_by!r} is no time, so the question waits for a person",
            file=question.path,
            fix="write 2026-12-31T18:00:00Z, or take the line out",
        )
    if question.tampered:
        yield DoctorFinding(
            status="fail",
            check="question_binding",
            message="the call in the file is not the one that was asked",
            file=question.path,
            fix="restore the file, or deny the question",
        )


def _is_time(text: str) -> bool:
    try:
        parse_time(text)
    except ValueError:
        return False
    return True
