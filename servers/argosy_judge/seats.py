"""Who judges beyond the rules: a model that the client asks for us, specialists of one axis, judges from elsewhere.

A server holds no key and calls no model (law 4): it says what it would ask, the client asks, and the answer comes back
with the call. Without such a client the judge is unavailable, and that blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from argosy_core.policy.judges_model import JudgesFile
from argosy_core.policy.judgment import Failure, JudgeError, JudgePolicyInvalid, JudgeUnavailable
from argosy_core.types import ActionClass, Verdict
from argosy_judge.backends import RuntimeConfig, ask_backend, reads_audited
from argosy_judge.cases import Case, Opinion
from argosy_judge.prompt import SEAT, Answer, PolicyContext, Vote, read_answer

MAX_ANSWER_TOKENS = 1_500


@dataclass(frozen=True, slots=True)
class Question:
    """What a model is asked; *model* is the owner's wish, which the client may not be able to meet.

    *case* is the part of *user* by which another process knows the question again.
    """

    system: str
    user: str
    model: str | None
    seats: tuple[str, ...]
    case: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What the seats said together: one opinion, the amendment behind it, and each vote for the record."""

    opinion: Opinion
    votes: tuple[Vote, ...] = ()
    amendment: Mapping[str, Any] | None = None
    model_id: str | None = None
    cost_nano: int = 0


def model_seats(settings: JudgesFile) -> tuple[str, ...]:
    """The seats that a model fills."""
    axes = [axis for axis, backend in settings.specialist_composition.items() if backend == "llm"]
    return (*((SEAT,) if settings.backend == "llm" else ()), *axes)


def backend_seats(settings: JudgesFile) -> dict[str, str]:
    """The axes that a judge from elsewhere fills, with its name."""
    return {a: b for a, b in settings.specialist_composition.items() if b not in ("rules", "llm")}


def ask_backends(case: Case, context: PolicyContext) -> tuple[list[Vote], Mapping[str, Any] | None]:
    """The votes of judges from elsewhere. Blocks. Raises JudgeError."""
    settings = case.standing.policy.settings
    votes: list[Vote] = []
    amendment: Mapping[str, Any] | None = None
    for axis, name in backend_seats(settings).items():
        config = RuntimeConfig(name, settings.model, settings.timeout_ms)
        if case.action_class is ActionClass.READ_ONLY and not reads_audited(name):
            continue  # it says itself that it has nothing to say of what only reads
        answer = ask_backend(name, case.proposal, replace(context, specialist_axis=axis), config)
        votes.append(Vote(axis, answer.outcome, answer.reason))
        amendment = amendment or answer.amendment
        if answer.outcome is Verdict.BLOCK:
            break
    return votes, amendment


def understand(text: str, seats: Sequence[str]) -> Answer:
    """A model's answer. Raises JudgeUnavailable for what is none, JudgePolicyInvalid for a revision of nothing."""
    try:
        answer = read_answer(text, seats)
    except (ValueError, RecursionError) as error:
        raise JudgeUnavailable("the model's answer is no verdict") from error
    if any(vote.outcome is Verdict.REVISE for vote in answer.votes) and not answer.amendment:
        raise JudgePolicyInvalid("the model asks to revise and says not what")
    return answer


def aggregate(votes: Sequence[Vote], rules: Sequence[str]) -> Opinion:
    """One opinion of *votes*: any block blocks, any escalation escalates.

    With ``majority_revise`` a revision needs more than half of the votes; else one is enough.
    """
    strictest = max(votes, key=lambda vote: vote.outcome.rank)
    if strictest.outcome is Verdict.REVISE and "majority_revise" in rules:
        wanting = sum(vote.outcome is Verdict.REVISE for vote in votes)
        if 2 * wanting <= len(votes):
            strictest = next(vote for vote in votes if vote.outcome is not Verdict.REVISE)
    said = strictest.reason if strictest.seat == SEAT else f"{strictest.seat}: {strictest.reason}"
    return Opinion(strictest.outcome, said, decides=True)


def failed(case: Case, error: JudgeError) -> Opinion:
    """What a failure of a judge becomes by the owner's failure policy: a block, unless it says otherwise."""
    failure: Failure = error.failure
    verdict = case.standing.policy.settings.failure_policy.outcome(failure, case.action_class)
    return Opinion(verdict, f"{failure}: {error}", decides=True, failure=failure)


def heard_failing(case: Case, error: JudgeError) -> Heard:
    """The seats after one of them failed."""
    return Heard(failed(case, error))
