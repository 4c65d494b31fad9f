"""What an answer means: from a block in a file to a decision, and from a choice to a block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from argosy_core.attendance import Channel
from argosy_core.errors import InvalidArgument, TooLarge
from argosy_core.json_schemas import fit
from argosy_desk.kinds import JUDGED, VERBS, Decision, State
from argosy_desk.question_file import QuestionFile, one_line
from argosy_desk.resolution import Problem, Resolution, render_resolution

MAX_CHOICE_CHARS = 20_000
MAX_NOTE_CHARS = 2_000
BY_DEFAULT = "desk"
AMENDABLE = (
    "tool_name",
    "tool_arguments",
    "target_audience",
    "expected_consequence",
    "reversibility",
    "rollback_path",
    "appended_evidence",
    "judge_note",
)
_DECISIONS: dict[str, Decision] = {"Approved": "approved", "Denied": "denied", "Revised": "revised"}
_CHOICES = {verb: choice for choice, verb in VERBS.items()}


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a question stands. *settled* is false while the file's state line lags behind its answer.

    *attended* is how the person was there who answered; *unattended* says that one should have been, and that an answer
    stands in the file which nothing shows to be theirs.
    """

    state: State
    decision: Decision | None = None
    choice: Any = None
    problem: Problem | None = None
    settled: bool = True
    attended: Channel | None = None
    unattended: bool = False


def standing_of(file: QuestionFile) -> Standing:
    """What *file* says: the state, and the decision with the choice behind it."""
    if file.problem is not None:
        return Standing("unparseable", problem=file.problem)
    if file.state not in ("pending", "resolved", "redacted"):
        return _unparseable(file.state_line, "state is one of pending, resolved, redacted")
    if file.state == "redacted":
        return Standing("redacted", "redacted", "redact")
    if file.resolution is None:
        if file.state == "pending":
            return Standing("pending")
        return _unparseable(file.state_line, "state says resolved, but no answer stands under ## Resolution")
    return _answered(file, file.resolution)


def _answered(file: QuestionFile, block: Resolution) -> Standing:
    settled = file.state != "pending"
    if block.verb == "Redacted":
        return Standing("redacted", "redacted", "redact", settled=settled)
    if block.verb == "Withdrawn":
        return Standing("resolved", "withdrawn", settled=settled)
    try:
        decision, choice = _judged(block) if file.kind in JUDGED else _chosen(file, block)
    except ValueError as problem:
        return _unparseable(block.line, str(problem))
    if file.tampered and decision != "denied":
        decision, choice = "tampered", None
    return Standing("resolved", decision, choice, settled=settled)


def _judged(block: Resolution) -> tuple[Decision, str]:
    if block.verb == "Answered":
        raise ValueError("this question is approved, denied, revised or redacted")
    if block.verb == "Auto-decided":
        allowed = block.fields.get("outcome", block.fields.get("choice")) in ("allow", "approve")
        return ("approved", "approve") if allowed else ("denied", "deny")
    if block.verb == "Revised" and not block.amendment:
        raise ValueError("Revised needs 'amendment:' and a fenced YAML block with what is changed")
    if unknown := sorted((block.amendment or {}).keys() - set(AMENDABLE)):
        raise ValueError(f"an amendment has no {', '.join(unknown)}")
    return _DECISIONS[block.verb], _CHOICES[block.verb]


def _chosen(file: QuestionFile, block: Resolution) -> tuple[Decision, Any]:
    if block.verb not in ("Answered", "Auto-decided"):
        raise ValueError(f"this question takes ### Answered by {block.by} with a line 'choice: …'")
    choice = block.fields.get("choice")
    if choice is None and block.verb == "Auto-decided":
        choice = _text(file.fields.get("default"))
    if choice is None or not choice.strip():
        raise ValueError("a line 'choice: …' is missing below this heading")
    return "answered", check_choice(file, choice)


def check_choice(file: QuestionFile, choice: str) -> Any:
    """The value that *choice* is as an answer to *file*. Raises ValueError when it is none."""
    schema: Any = file.fields.get("schema")
    if isinstance(schema, Mapping):
        return fit(schema, choice)  # pyright: ignore[reportUnknownArgumentType]
    if file.options and choice not in file.options:
        raise ValueError(f"choose one of: {' | '.join(file.options)}")
    return choice


def compose_answer(
    file: QuestionFile,
    choice: str,
    amendment: Mapping[str, Any] | None,
    note: str | None,
    by: str,
    at: str,
    attended: str | None = None,
) -> str:
    """The block that answers *file* with *choice*; *attended* shows that a person was there.

    Raises InvalidArgument and TooLarge.
    """
    if len(choice) > MAX_CHOICE_CHARS or len(note or "") > MAX_NOTE_CHARS:
        raise TooLarge(f"a choice has at most {MAX_CHOICE_CHARS} characters, a note {MAX_NOTE_CHARS}")
    if file.kind not in JUDGED:
        return _compose_chosen(file, choice, amendment, note, by, _lines(at, choice, note, attended))
    verb = VERBS.get(choice)
    if verb is None:
        raise InvalidArgument(f"this question takes one of: {', '.join(VERBS)}")
    if (verb == "Revised") != bool(amendment):
        hint = "give what is changed as amendment" if verb == "Revised" else "an amendment goes with revise"
        raise InvalidArgument(f"{choice} and the amendment do not go together", hint=hint)
    if unknown := sorted((amendment or {}).keys() - set(AMENDABLE)):
        raise InvalidArgument(f"an amendment has no {', '.join(unknown)}", hint=f"it has: {', '.join(AMENDABLE)}")
    changed = {"judge_note": note or f"revised by {by}", **amendment} if amendment else None
    return render_resolution(verb, by, _lines(at, None, note, attended), changed)


def _compose_chosen(
    file: QuestionFile,
    choice: str,
    amendment: Mapping[str, Any] | None,
    note: str | None,
    by: str,
    lines: Mapping[str, str],
) -> str:
    if amendment:
        raise InvalidArgument("only a proposal can be amended", hint="leave amendment out")
    if not choice.strip():
        raise InvalidArgument("choice is empty", hint="say what is chosen")
    try:
        check_choice(file, choice)
    except ValueError as exc:
        raise InvalidArgument(f"this does not answer the question: {exc}", hint="desk_get shows what it takes") from exc
    return render_resolution("Answered", by, lines, None)


def _lines(at: str, choice: str | None, note: str | None, attended: str | None) -> dict[str, str]:
    lines = {"resolved_at": at, "choice": choice, "note": one_line(note) if note else None, "attended": attended}
    return {name: value for name, value in lines.items() if value}


def compose_withdrawal(why: str, by: str, at: str) -> str:
    """The block that ends a question which nobody needs answered any more."""
    return render_resolution("Withdrawn", by, {"resolved_at": at, "reason": why}, None)


def compose_default(file: QuestionFile, at: str, *, may_approve: bool = True) -> str:
    """The block that answers *file* with its default. What was tampered with is never approved by silence."""
    default, note = _text(file.fields.get("default")) or "deny", "nobody answered in time"
    if file.kind not in JUDGED:
        return render_resolution("Auto-decided", BY_DEFAULT, {"resolved_at": at, "choice": default, "note": note}, None)
    outcome = "allow" if default == "approve" and may_approve and not file.tampered else "block"
    return render_resolution("Auto-decided", BY_DEFAULT, {"resolved_at": at, "outcome": outcome, "note": note}, None)


def check_default(file: QuestionFile, default: str | None) -> None:
    """Raises InvalidArgument when *default* would not answer *file*."""
    if default is None:
        return
    if file.kind in JUDGED:
        if default not in ("approve", "deny"):
            raise InvalidArgument("the default of this kind is approve or deny")
        return
    try:
        check_choice(file, default)
    except ValueError as exc:
        raise InvalidArgument(f"the default does not answer the question: {exc}") from exc


def check_options(options: Sequence[str]) -> tuple[str, ...]:
    """*options* as they are written. Raises InvalidArgument."""
    lines = tuple(one_line(option) for option in options)
    if not all(lines) or len(set(lines)) < len(lines) or len(lines) > 50 or any(len(line) > 200 for line in lines):
        raise InvalidArgument("options are up to 50 different lines of 1 to 200 characters")
    return lines


def _unparseable(line: int, reason: str) -> Standing:
    return Standing("unparseable", problem=Problem(line, reason))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
