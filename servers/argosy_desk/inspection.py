"""What a doctor sees in a question's file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from argosy_core.clock import parse_time
from argosy_core.serving.results import DoctorFinding
from argosy_core.views.fleet import FILE
from argosy_desk.attending import Proof
from argosy_desk.models import Question

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


def inspect_approval(proof: Proof | None, problem: str | None) -> Iterator[DoctorFinding]:
    """Who may answer questions of high risk, and what keeps that from being shown."""
    if proof is None:
        message = "questions of high risk may be answered in any editor (approval: file)"
    else:
        message = "approving what is of high risk takes a person who is there (approval: attended)"
    yield DoctorFinding(status="pass", check="approval", message=message, file=FILE)
    if proof is not None and problem is not None:
        yield DoctorFinding(status="fail", check="approval", message=problem, file=FILE, fix="mend the state folder")


def inspect_question(question: Question) -> Iterator[DoctorFinding]:
    """What is wrong with *question*."""
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
    if question.unattended and question.decision is None:
        yield DoctorFinding(
            status="warn",
            check="approval",
            message="an answer stands here that does not count: it takes a person who is there",
            file=question.path,
            fix=question.how_to_answer or "answer it at a terminal",
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
