"""What a specialist of the judge gets, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from argosy_core.budget.ledger import Breach, Cap, Ledger
from argosy_core.policy.grants import UNLIMITED, Grant
from argosy_core.types import ActionClass, ClassPolicy, Verdict
from argosy_judge.classes import Classified, KnownTool
from argosy_judge.proposal import Proposal
from argosy_judge.standing import Standing


@dataclass(frozen=True, slots=True)
class Situation:
    """Who asks and when: the run, its grant (*grant_id* when a document states it), and why the grant does not count.

    *ledger* reads the agent's ledger; asked for only when something bears on it.
    """

    now: datetime
    ledger: Callable[[], Ledger]
    run: str | None = None
    grant: Grant = UNLIMITED
    grant_id: str | None = None
    grant_fault: str | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """What an allowed call costs: *nano* billionths of a dollar out of *purses*, each under its caps."""

    nano: int
    purses: tuple[str, ...]
    caps: tuple[Cap, ...]
    mandate: str | None = None
    counts_action: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One proposal with everything that bears on it. *decided* says that a person has decided it already.

    While it is judged, *charges* and *breaches* gather what it would cost and the caps that it does not fit under.
    """

    proposal: Proposal
    tool: KnownTool
    classified: Classified
    standing: Standing
    situation: Situation
    decided: bool = False
    charges: list[Charge] = field(default_factory=list[Charge])
    breaches: list[Breach] = field(default_factory=list[Breach])

    @property
    def agent(self) -> str:
        return self.standing.agent

    @property
    def action_class(self) -> ActionClass:
        return self.classified.action_class

    @property
    def class_policy(self) -> ClassPolicy:
        return self.standing.policy.class_policy[self.action_class]

    @property
    def policy_source(self) -> str:
        return self.standing.policy.source[self.action_class]


@dataclass(frozen=True, slots=True)
class Opinion:
    """One specialist's answer. *decides* says that it settles an action whose policy is ``judge_required``.

    *failure* is the name of the judge's failure that it rests on, if any; the failure policy has its say about it.
    """

    verdict: Verdict
    reason: str
    decides: bool = False
    failure: str | None = None


class Specialist(Protocol):
    """One point of view. Raising counts as a block."""

    @property
    def name(self) -> str: ...

    def evaluate(self, case: Case) -> Opinion:
        """What this specialist says of *case*, which it does not change but for what it would charge and the caps
        that forbid it."""
        ...
