"""Judges from elsewhere: whoever implements `JudgeBackend` and registers it takes a seat beside the rules.

A backend sees the proposal and the policy that bears on it. How it is run (time, budget, what its failure becomes)
stays here, around it.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Any, Protocol, runtime_checkable

from argosy_core.errors import AlreadyExists, NotFound
from argosy_core.policy.judgment import (
    BackendJudgment,
    JudgeError,
    JudgePolicyInvalid,
    JudgeUnavailable,
)
from argosy_core.types import Verdict
from argosy_judge.prompt import PolicyContext
from argosy_judge.proposal import Proposal


@dataclass(frozen=True, slots=True)
class RuntimeConfig:
    """How a judge is run; no part of it reaches a prompt or a backend."""

    backend_name: str
    model_id: str | None
    timeout_ms: int


@runtime_checkable
class JudgeBackend(Protocol):
    """A judge. Its methods block, and are called from several threads at once."""

    @property
    def judge_id(self) -> str: ...

    @property
    def policy_version(self) -> str: ...

    def evaluate(self, proposal: Proposal, context: PolicyContext) -> BackendJudgment:
        """The verdict on *proposal*, which is not changed. Raises JudgeError."""
        ...

    def supported_outcomes(self) -> frozenset[Verdict]: ...

    def supports_read_audit(self) -> bool: ...

    def supports_specialist_composition(self) -> bool: ...

    def close(self) -> None:
        """Give up what it holds. Idempotent."""
        ...


_registered: dict[str, Callable[[], JudgeBackend]] = {}
_made: dict[str, JudgeBackend] = {}
_guard = threading.Lock()


def register_backend(name: str, make: Callable[[], JudgeBackend]) -> None:
    """Offer a backend under *name*, as ``judges.md`` writes it. Raises AlreadyExists."""
    with _guard:
        if name in _registered or name in ("rules", "llm"):
            raise AlreadyExists(f"there is a judge {name!r}", hint="choose another name")
        _registered[name] = make


def forget_backend(name: str) -> None:
    """Take a backend back, and close it if it was used. Nothing happens when there is none."""
    with _guard:
        _registered.pop(name, None)
        made = _made.pop(name, None)
    if made is not None:
        made.close()


def get_backend(name: str) -> JudgeBackend:
    """The backend *name*, made by whoever asks first. Raises NotFound."""
    with _guard:
        if name not in _registered:
            raise NotFound(f"there is no judge {name!r}", hint="install the package that offers it")
        if name not in _made:
            _made[name] = _registered[name]()
        return _made[name]


def ask_backend(name: str, proposal: Proposal, context: PolicyContext, config: RuntimeConfig) -> BackendJudgment:
    """The verdict of the backend *name*, within its time. Blocks. Raises JudgeError."""
    try:
        backend = get_backend(name)
    except NotFound as error:
        raise JudgeUnavailable(error.message, hint=error.hint) from error
    if not backend.supports_specialist_composition():
        raise JudgePolicyInvalid(f"the judge {name} takes no seat beside others", hint="take it out of judges.md")
    # A private copy: what the backend does to it changes nothing that runs.
    answer = _within(lambda: backend.evaluate(copy.deepcopy(proposal), context), config.timeout_ms / 1000, name)
    return check_judgment(answer, backend.supported_outcomes(), name)


def reads_audited(name: str) -> bool:
    """Whether the backend *name* judges reading for the record; one that is not there is asked, and fails."""
    try:
        return get_backend(name).supports_read_audit()
    except NotFound:
        return True


def check_judgment(answer: object, supported: frozenset[Verdict], name: str) -> BackendJudgment:
    """*answer* as a judgment. Raises JudgePolicyInvalid for an outcome it never declared, or a revision of nothing."""
    if not isinstance(answer, BackendJudgment):
        raise JudgeUnavailable(f"the judge {name} gave no judgment")
    if answer.outcome not in supported:
        raise JudgePolicyInvalid(f"the judge {name} answered {answer.outcome!s:.40}, which it never declared")
    if answer.outcome is Verdict.REVISE and not answer.amendment:
        raise JudgePolicyInvalid(f"the judge {name} asks to revise and says not what")
    return answer


def _within(work: Callable[[], Any], seconds: float, name: str) -> Any:
    """What *work* returns, in a thread of its own that is left behind when it takes too long."""
    answers: Queue[tuple[Any, BaseException | None]] = Queue(1)

    def run() -> None:
        try:
            answers.put((work(), None))
        except BaseException as error:
            answers.put((None, error))

    threading.Thread(target=run, name=f"judge-{name}", daemon=True).start()
    try:
        result, error = answers.get(timeout=seconds)
    except Empty:
        raise JudgeUnavailable(f"the judge {name} did not answer within {seconds:g} seconds") from None
    if isinstance(error, JudgeError):
        raise error
    if error is not None:
        raise JudgeUnavailable(f"the judge {name} failed ({type(error).__name__})") from error
    return result
