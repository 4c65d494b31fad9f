"""What a doctor sees in a question's file."""

from __future__ import annotations

from collections.abc import Iterator

from argosy_core.serving.results import DoctorFinding
from argosy_core.storage.base import Content
from argosy_desk.reading import read_question


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
    if question.tampered:
        yield DoctorFinding(
            status="fail",
            check="question_binding",
            message="the call in the file is not the one that was asked",
            file=question.path,
            fix="restore the file, or deny the question",
        )
