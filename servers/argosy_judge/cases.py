"""What a specialist of the judge gets, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from argosy_core.types import ActionClass, ClassPolicy, Verdict
from argosy_judge.classes import Classified, KnownTool
from argosy_judge.proposal import Proposal
from argosy_judge.standing import Standing


@dataclass(frozen=True, slots=True)
class Case:
    """One proposal with everything that bears on it."""

    proposal: Proposal
    tool: KnownTool
    classified: Classified
    standing: Standing

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
    """One specialist's answer. *decides* says that it settles an action whose policy is ``judge_required``."""

    verdict: Verdict
    reason: str
    decides: bool = False


class Specialist(Protocol):
    """One point of view. Raising counts as a block."""

    @property
    def name(self) -> str: ...

    def evaluate(self, case: Case) -> Opinion:
        """What this specialist says of *case*, which it does not change."""
        ...
