"""One case from its proposal to its decision, with what has to be remembered in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from argosy_core.policy.judgment import EnforcementAction, Failure, JudgeAmendedProposalRejected, JudgeError
from argosy_core.types import ActionClass, Verdict
from argosy_core.views.vault_reader import VaultReader
from argosy_judge.cases import Case, Opinion, Situation
from argosy_judge.classes import Classified, classify, identify
from argosy_judge.ensemble import Decision, Ensemble, blocked, conclude, needs_model
from argosy_judge.prompt import PolicyContext, case_prompt, policy_context, system_prompt, user_prompt
from argosy_judge.proposal import Proposal
from argosy_judge.recent import RecentRuns
from argosy_judge.revision import amended
from argosy_judge.seats import Heard, Question, aggregate, ask_backends, backend_seats, failed, model_seats
from argosy_judge.standing import Standing

UNKNOWN = Classified(ActionClass.EXTERNAL_SIDE_EFFECT, "default_unknown")


@dataclass(frozen=True, slots=True)
class Hearing:
    """A case after the rules were heard.

    *question* is what a model is to be asked; None when nobody is. *decision* is set when it can only be that one.
    """

    raw: Mapping[str, Any]
    proposal_id: str
    standing: Standing
    case: Case | None = None
    opinions: Sequence[Opinion] = ()
    question: Question | None = None
    context: PolicyContext | None = None
    decision: Decision | None = None
    started: float = 0.0

    @property
    def classified(self) -> Classified:
        return self.case.classified if self.case else UNKNOWN


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is answered: the decision, what the seats said, the amendment and what it makes, what was set aside."""

    decision: Decision
    heard: Heard | None = None
    amendment: Mapping[str, Any] | None = None
    amended: Mapping[str, Any] | None = None
    reservation: str | None = None


def build_case(proposal: Proposal, standing: Standing, situation: Situation, *, decided: bool = False) -> Case:
    """The case of *proposal*; a revision is of no lower class than what it revises."""
    tool = identify(proposal.tool_name, proposal.server, standing)
    found = classify(tool, standing)
    least = proposal.least_class
    if least is not None and least.rank > found.action_class.rank:
        found = Classified(least, "revision")
    return Case(proposal, tool, found, standing, situation, decided)


def others_asked(case: Case, opinions: Sequence[Opinion]) -> list[str]:
    """The seats beside the rules that are asked about *case* after the rules said *opinions*; often none."""
    settings = case.standing.policy.settings
    if not needs_model(case) or any(o.verdict.rank >= Verdict.ESCALATE.rank for o in opinions):
        return []
    return [*model_seats(settings), *backend_seats(settings)]


def open_hearing(
    hearing: Hearing, proposal: Proposal, situation: Situation, ensemble: Ensemble, reader: VaultReader,
    recent: RecentRuns,
) -> Hearing:  # fmt: skip
    """Hear the rules on *proposal*, and prepare what others are to be asked. Blocks."""
    standing = hearing.standing
    if proposal.amendment is not None:
        return _revised_by_person(hearing, proposal, situation, ensemble)
    case = build_case(proposal, standing, situation)
    opinions = ensemble.hear(case)
    hearing = replace(hearing, case=case, opinions=opinions)
    if not others_asked(case, opinions):
        return hearing
    context = policy_context(
        reader, case.agent, case.tool, case.classified, case.class_policy, standing.tools, proposal,
        recent.of(case.agent, situation.run, proposal.tool_call_id),
    )  # fmt: skip
    try:
        return replace(hearing, context=context, question=_question(case, context))
    except JudgeError as error:
        return replace(hearing, decision=conclude(case, [*opinions, failed(case, error)]))


def close_hearing(hearing: Hearing, answer: Heard | None) -> Outcome:
    """The outcome of *hearing*, after the model said *answer* if one was asked. Blocks while other judges are asked."""
    case = hearing.case
    if hearing.decision is not None or case is None:
        return Outcome(hearing.decision or blocked("there is no case"))
    heard = _all_seats(hearing, case, answer)
    decision = conclude(case, [*hearing.opinions, *([heard.opinion] if heard else [])])
    if decision.raw is not Verdict.REVISE:
        return Outcome(_second(decision, case), heard)
    return _revised(hearing, case, decision, heard)


def _question(case: Case, context: PolicyContext) -> Question | None:
    settings = case.standing.policy.settings
    seats = model_seats(settings)
    if not seats:
        return None
    asked, shown = case_prompt(context, case.proposal), user_prompt(context, case.proposal)
    return Question(system_prompt(seats), shown, settings.model, seats, asked)


def _all_seats(hearing: Hearing, case: Case, answer: Heard | None) -> Heard | None:
    if hearing.context is None or (answer is not None and answer.opinion.verdict is Verdict.BLOCK):
        return answer
    if not backend_seats(case.standing.policy.settings):
        return answer
    try:
        votes, amendment = ask_backends(case, hearing.context)
    except JudgeError as error:
        return Heard(failed(case, error), answer.votes if answer else ())
    both = (*(answer.votes if answer else ()), *votes)
    if not both:
        return answer
    opinion = aggregate(both, case.standing.policy.settings.aggregation)
    if answer is not None and not answer.votes:  # a failure is no vote, and still what the owner makes of it
        opinion = max(opinion, answer.opinion, key=lambda found: found.verdict.rank)
    found = answer or Heard(opinion)
    return replace(found, opinion=opinion, votes=both, amendment=found.amendment or amendment)


def _second(decision: Decision, case: Case) -> Decision:
    """A second judgment that allows is a revision carried out."""
    if case.proposal.revision_of is None or decision.enforcement_action is not EnforcementAction.ALLOW_EXECUTED:
        return decision
    return replace(decision, enforcement_action=EnforcementAction.REVISE_EXECUTED)


def _revised(hearing: Hearing, case: Case, decision: Decision, heard: Heard | None) -> Outcome:
    if decision.outcome is not Verdict.REVISE:  # judged for the record only
        return Outcome(decision, heard)
    if case.proposal.revision_of is not None:
        reason = f"revise_loop_exhausted: {decision.reason}"
        action = EnforcementAction.REVISE_LOOP_EXHAUSTED_BLOCKED
        return Outcome(Decision(Verdict.BLOCK, reason, action, Verdict.REVISE), heard)
    amendment = (heard.amendment if heard else None) or {}
    validation = case.standing.policy.settings.validation
    try:
        again, _ = amended(hearing.raw, amendment, hearing.proposal_id, case.action_class, validation)
    except JudgeAmendedProposalRejected as error:
        return Outcome(_rejected(error, EnforcementAction.REVISE_INVALID_AMENDMENT), heard, amendment)
    return Outcome(decision, heard, amendment, again)


def _revised_by_person(hearing: Hearing, proposal: Proposal, situation: Situation, ensemble: Ensemble) -> Hearing:
    """A person's revision: checked by every rule, and asked about again only when it is of the highest class."""
    standing = hearing.standing
    first = build_case(replace(proposal, amendment=None), standing, situation)
    bad = EnforcementAction.OPERATOR_REVISE_INVALID_AMENDMENT
    try:
        amendment = {"judge_note": "revised by a person", **(proposal.amendment or {})}
        again, second = amended(
            hearing.raw, amendment, hearing.proposal_id, first.action_class, standing.policy.settings.validation
        )
    except JudgeAmendedProposalRejected as error:
        return replace(hearing, case=first, decision=_rejected(error, bad))
    case = build_case(second, standing, situation)
    high = case.action_class is ActionClass.HIGH_RISK and first.action_class is not ActionClass.HIGH_RISK
    case = case if high else build_case(second, standing, situation, decided=True)
    decision = conclude(case, ensemble.hear(case))
    if decision.outcome is Verdict.BLOCK:
        decision = replace(decision, enforcement_action=bad)
    elif decision.outcome is Verdict.ALLOW:
        decision = replace(decision, enforcement_action=EnforcementAction.OPERATOR_REVISE_EXECUTED)
    return replace(hearing, raw=again, case=case, decision=decision)


def _rejected(error: JudgeAmendedProposalRejected, action: EnforcementAction) -> Decision:
    reason = f"{Failure.AMENDED_PROPOSAL_REJECTED}: {error.message}"
    return Decision(Verdict.BLOCK, reason, action, Verdict.REVISE, Failure.AMENDED_PROPOSAL_REJECTED)
