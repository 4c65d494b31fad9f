"""The judge: from a proposal to a judgment, by what the policy files of the moment say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from anyio import to_thread

from argosy_core.budget.ledger import Amount, Ledger, Open, explain_breach
from argosy_core.budget.ledgers import Ledgers, ledger_path
from argosy_core.clock import rfc3339
from argosy_core.errors import ArgosyError
from argosy_core.ids import new_id
from argosy_core.off_loop import about_to_wait, here_or_off_loop, off_loop
from argosy_core.policy.grants import UNLIMITED
from argosy_core.policy.judgment import Failure, JudgeError, JudgeProposalInvalid
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import DoctorFinding
from argosy_core.storage.near_files import NearFiles
from argosy_core.types import Caller, Role, Verdict
from argosy_core.views.agents import list_agents
from argosy_core.views.vault_reader import VaultReader
from argosy_judge.budgets import Budgets
from argosy_judge.cases import Case, Charge, Situation, Specialist
from argosy_judge.classes import KnownTool, classify, identify
from argosy_judge.ensemble import Decision, Ensemble, blocked, conclude
from argosy_judge.explanation import explain, policy_document
from argosy_judge.grant_store import GrantStore
from argosy_judge.health import judgment_findings
from argosy_judge.hearing import UNKNOWN, Hearing, Outcome, build_case, close_hearing, open_hearing, others_asked
from argosy_judge.inspection import inspect
from argosy_judge.judgment_form import judgment_of
from argosy_judge.mandate_events import MandateEvents
from argosy_judge.mandate_locks import TIMED_OUT, MandateLocks, is_locked, locking_charge
from argosy_judge.mandate_rules import MandateRules, rebind_until, throttle_name
from argosy_judge.model_call import ModelCalls
from argosy_judge.models import Explanation, Judgment, ToolClass
from argosy_judge.proposal import Proposal, is_small, read_proposal
from argosy_judge.recent import RecentRuns
from argosy_judge.reconciling import unverified_findings
from argosy_judge.scope_rules import ScopeRules
from argosy_judge.seats import Heard, failed
from argosy_judge.specialists import BudgetRules, ClassRules, Faults, ModeRules
from argosy_judge.standing import JUDGES, MANDATES, MCP, POLICY, REGISTRY, TOOLS, StandingPolicies, files_of

POLICY_URI = "judge://policy"
_INCONSISTENT = "mandate_state_inconsistent"


class Judge:
    """Judges for every agent of the vault.

    While no policy file changes, what the rules decide alone is decided on the event loop: a few `stat` of names that
    the kernel has in its memory. All else is one hop to a worker thread.
    """

    def __init__(self, config: ServerConfig, specialists: tuple[Specialist, ...] = ()) -> None:
        files = NearFiles(config.store, config.clock)
        self._clock = config.clock
        self._ids = config.ids
        self._files = files
        self._chain = config.store.chain
        self._reader = VaultReader(files)
        self._policies = StandingPolicies(files, config.clock)
        self.grants = GrantStore(config, files)
        self.ledgers = Ledgers(config.store, config.clock, config.ids)
        self._mandates = MandateEvents(self.ledgers, config.store.chain, config.clock)
        self._locks = MandateLocks(config.store.leases, config.clock)
        self.budgets = Budgets(config, self._policies, self.grants, self.ledgers, self._mandates, self._locks)
        self._calls = ModelCalls(config, self.ledgers)
        self._recent = RecentRuns(files, config.clock)
        self._root = config.store.root
        scope = ScopeRules(lambda: list_agents(self._reader), str(config.store.root))
        mandate = MandateRules(self.grants)
        rules: tuple[Specialist, ...] = (
            Faults(),
            scope,
            BudgetRules(),
            ModeRules(),
            ClassRules(),
            mandate,
            *specialists,
        )
        self._ensemble = Ensemble(rules)
        self._may_stay = not specialists  # who knows what others wait for

    def now(self) -> datetime:
        """The time by which grants end."""
        return self._clock.now()

    # Judging

    async def evaluate(self, agent: str, proposal: Mapping[str, Any], caller: Caller | None = None) -> Judgment:
        """The judgment on *proposal* of *agent* by everybody but a model. What is wrong is in it, not raised."""
        hearing = await self.hear(agent, proposal, caller)
        return await self.close(hearing, self.unheard(hearing, "nobody can ask a model here"))

    def evaluate_now(self, agent: str, proposal: Mapping[str, Any], caller: Caller | None = None) -> Judgment:
        """As `evaluate`, by the rules alone and without setting anything aside. Blocks."""
        hearing = self._open(agent, proposal, caller)
        return self._judgment(hearing, close_hearing(hearing, self.unheard(hearing, "nobody can ask a model here")))

    async def hear(self, agent: str, proposal: Mapping[str, Any], caller: Caller | None = None) -> Hearing:
        """The rules' opinions on *proposal*, and what a model is to be asked, its cost set aside. Never raises."""
        go = here_or_off_loop if self._may_stay and is_small(proposal) else off_loop
        hearing = await go(self._open, agent, proposal, caller)
        if hearing.question is None or hearing.case is None:
            return hearing
        try:
            await self._calls.reserve(hearing)
        except ArgosyError as error:
            return _failed(hearing, error)
        return hearing

    def unheard(self, hearing: Hearing, reason: str) -> Heard | None:
        """What it becomes when the model that should be asked cannot be."""
        return self._calls.unheard(hearing, reason)

    async def close(self, hearing: Hearing, answer: Heard | None) -> Judgment:
        """The judgment on *hearing*, with what a model said if one was asked. Never raises."""
        if hearing.question is not None and answer is not None:
            answer = await self._calls.settle(hearing, answer)
        if answer is None and hearing.context is None:
            outcome = close_hearing(hearing, None)
        else:
            outcome = await to_thread.run_sync(close_hearing, hearing, answer)
        case = hearing.case
        if case is not None and hearing.context is not None and outcome.decision.outcome is not Verdict.REVISE:
            self._recent.forget(case.agent, case.situation.run, case.proposal.tool_call_id)
        if case is not None and (case.charges or is_locked(case) or outcome.decision.reason.startswith(_INCONSISTENT)):
            outcome = await self._charge(case, outcome)
        if self._mandates.has_news(hearing.standing, case):
            await self._mandates.tell(hearing.standing, case, outcome, hearing.proposal_id)
        return self._judgment(hearing, outcome)

    def read_reply(self, hearing: Hearing, text: str, model: str | None, meta: Mapping[str, Any] | None) -> Heard:
        """What a model's reply says. Blocks nothing and never raises: what cannot be read is a failure of the judge."""
        return self._calls.read(hearing, text, model, meta)

    def _open(self, agent: str, raw: Mapping[str, Any], caller: Caller | None) -> Hearing:
        started = self._clock.monotonic()
        standing = self._policies.current(agent)
        hearing = Hearing(raw, new_id("proposal", self._clock, self._ids), standing, started=started)
        try:
            proposal = read_proposal(raw)
        except JudgeProposalInvalid as error:
            reason = f"{Failure.PROPOSAL_INVALID}: {error.message}"
            return replace(hearing, decision=blocked(reason, Failure.PROPOSAL_INVALID))
        situation = self._situation(agent, caller)
        return open_hearing(hearing, proposal, situation, self._ensemble, self._reader, self._recent)

    def _situation(self, agent: str, caller: Caller | None) -> Situation:
        now, run = self._clock.now(), caller.run if caller else None

        def ledger() -> Ledger:
            about_to_wait()
            return self.ledgers.look(agent)

        if caller is None or caller.grant is None:
            return Situation(now, ledger, run)
        name = None if caller.grant.startswith("{") else caller.grant
        try:
            return Situation(now, ledger, run, self.grants.of_run(caller.grant, agent), name)
        except ArgosyError as error:
            return Situation(now, ledger, run, UNLIMITED, name, error.message)

    async def _charge(self, case: Case, outcome: Outcome) -> Outcome:
        """Set aside what an allowed call costs, all of it at once or nothing; remember a suspicious citing."""
        try:
            if outcome.decision.reason.startswith(_INCONSISTENT):
                await self._throttle(case)
                return outcome
            if outcome.decision.outcome is not Verdict.ALLOW or outcome.decision.raw is not Verdict.ALLOW:
                return outcome
            name = await self._reserve(case)
        except ArgosyError as error:
            if error.message.startswith(TIMED_OUT):
                return replace(outcome, decision=blocked(error.message))
            reason = f"{Failure.BUDGET_EXHAUSTED}: {error.message}"
            return replace(outcome, decision=blocked(reason, Failure.BUDGET_EXHAUSTED))
        if isinstance(name, Decision):
            return replace(outcome, decision=name)
        return replace(outcome, reservation=name)

    async def _reserve(self, case: Case) -> str | Decision:
        """Set the cost of an allowed call aside under a name, its mandate locked where that is due."""
        name, kept = self._ids.random(8).hex(), False
        locked = is_locked(case)
        if locked:
            case.charges.append(locking_charge(case))
            await self._locks.take(case, name)
        try:
            refused = await self._set_aside(case, name)
            kept = refused is None
        finally:
            if locked and not kept:
                await self._locks.give(case.agent, locking_charge(case).purses, name)
        return refused or name

    async def _throttle(self, case: Case) -> None:
        until, now = rebind_until(case), case.situation.now

        def mark(ledger: Ledger) -> tuple[Ledger, None]:
            return ledger.throttle(throttle_name(case), until, now), None

        await self.ledgers.change(case.agent, mark)

    async def _set_aside(self, case: Case, name: str) -> Decision | None:
        """Make the reservation *name*; the decision that there is none where a cap forbids it."""
        charges: list[Charge] = case.charges
        now = self._clock.now()
        caps = [cap for charge in charges for cap in charge.caps]
        purses = tuple(dict.fromkeys(purse for charge in charges for purse in charge.purses))
        nano, counted = max(c.nano for c in charges), any(c.counts_action for c in charges)
        amount = Amount(nano, 0, int(counted))
        external = case.tool.full_name if nano else None
        until = now + timedelta(seconds=case.standing.policy.settings.mandates.reservation_ttl_s)

        def reserve(ledger: Ledger) -> tuple[Ledger, str | Decision]:
            breaches = ledger.breaches(amount, caps, now)
            case.breaches[:] = breaches
            if breaches:
                reason = f"{Failure.BUDGET_EXHAUSTED}: {explain_breach(breaches[0])}"
                return ledger, blocked(reason, Failure.BUDGET_EXHAUSTED)
            wanted = Open(amount, purses, ledger.today(purses, now), until, case.situation.run, external)
            return ledger.reserve(name, wanted), wanted.day

        done = await self.ledgers.change(case.agent, reserve)
        if isinstance(done, Decision):
            return done
        fields = {
            "reservation_id": name, "run_id": case.situation.run, "tool_name": case.tool.full_name, "payer": "actor",
            "mandate_id": next((c.mandate for c in charges if c.mandate), None), "cost_kind": "external",
            "estimate": [*amount], "purses": [*purses], "day": done, "until": rfc3339(until),
        }  # fmt: skip
        await self.ledgers.log(case.agent, "budget.reserve", fields)
        return None

    def _judgment(self, hearing: Hearing, outcome: Outcome) -> Judgment:
        return judgment_of(hearing, outcome, round((self._clock.monotonic() - hearing.started) * 1000, 3))

    # Explaining

    async def tool_class(self, agent: str, server: str, name: str) -> ToolClass:
        """The class of a tool for *agent*."""
        standing = await to_thread.run_sync(self._policies.current, agent)
        tool = identify(name, server, standing)
        found = classify(tool, standing)
        fields = {"server": server, "tool": name, "class": found.action_class, "source": found.source}
        return ToolClass.model_validate(fields)

    async def explain(
        self, agent: str, name: str, arguments: dict[str, Any] | None, caller: Caller | None = None
    ) -> Explanation:
        """What the policy says of a call, without judging it for anybody."""
        return await to_thread.run_sync(self._explain, agent, name, arguments, caller)

    def _explain(
        self, agent: str, name: str, arguments: dict[str, Any] | None, caller: Caller | None = None
    ) -> Explanation:
        raw = {"tool_name": name, "tool_call_id": "explain", "tool_arguments": arguments or {}}
        standing = self._policies.current(agent)
        situation = self._situation(agent, caller)
        try:
            case = build_case(read_proposal(raw), standing, situation)
        except JudgeProposalInvalid as error:
            tool = KnownTool(name, None, False, None)
            case = Case(Proposal(name, None, "explain", {}, ""), tool, UNKNOWN, standing, situation)
            return explain(case, blocked(f"{Failure.PROPOSAL_INVALID}: {error.message}"))
        opinions = self._ensemble.hear(case)
        asks = others_asked(case, opinions)
        # What the others say is not known before they are asked: this is the answer if they allow it.
        decision = conclude(replace(case, decided=True) if asks else case, opinions)
        return explain(case, decision, asks)

    async def policy(self, agent: str) -> str:
        """The policy in force for *agent* as JSON."""
        standing = await to_thread.run_sync(self._policies.current, agent)
        return json.dumps(policy_document(standing), ensure_ascii=False, indent=2)

    async def budget_document(self, agent: str) -> str:
        """Every purse of *agent* with its caps, as JSON."""
        lines = await self.budgets.lines(Caller(agent, Role.AGENT), agent, "all")
        return json.dumps([line.model_dump(mode="json") for line in lines], indent=2)

    # What the server base asks

    async def counts(self, agent: str | None) -> dict[str, int]:
        if agent is None:
            return {}

        def count() -> dict[str, int]:
            standing = self._policies.current(agent)
            present = sum(self._files.info(path) is not None for path in files_of(agent))
            classified = len(standing.classification)
            faults = len(standing.gate) + len(standing.foreign) + len(standing.mandate_faults)
            return {"policy_files": present, "classified_tools": classified, "faults": faults}

        return await to_thread.run_sync(count)

    async def doctor(self, agent: str | None) -> list[DoctorFinding]:
        agents = [agent] if agent else await to_thread.run_sync(list_agents, self._reader)

        def look() -> list[DoctorFinding]:
            found = [
                finding
                for name in agents
                for finding in inspect(self._policies.current(name), self._reader, self._root, self._clock.now())
            ]
            for name in agents:
                found += self._unverified(name)
            problems = self.grants.listed(None)[1]
            found += [
                DoctorFinding(status="fail", check="judge_grants", message=f"{p.message}; it grants nothing",
                    file=p.where, line=p.line, fix=p.hint or "mend the file")
                for p in problems
            ]  # fmt: skip
            return found

        found = await to_thread.run_sync(look)
        for name in agents:
            standing = await to_thread.run_sync(self._policies.current, name)
            found += await judgment_findings(self._chain, self._files, standing, self._clock.now())
        found = list(dict.fromkeys(found))
        fine = DoctorFinding(status="pass", check="judge_policy", message="every policy reads")
        return found or [fine]

    def _unverified(self, agent: str) -> list[DoctorFinding]:
        try:
            return list(unverified_findings(self.ledgers.look(agent), agent, self._clock.now()))
        except ArgosyError as error:
            path, fix = ledger_path(agent), error.hint or "mend the file"
            return [DoctorFinding(status="fail", check="judge_ledger", message=error.message, file=path, fix=fix)]

    def uris_of(self, path: str) -> list[str]:
        *folder, name = path.split("/")
        if path.startswith("_fleet/grants/"):
            return ["judge://grants"]
        if path.startswith("_fleet/budgets/"):
            return ["judge://budget"]
        fleets = (JUDGES, POLICY, MANDATES, REGISTRY)
        bears = path in fleets or (len(folder) == 1 and name in (JUDGES, TOOLS, MCP, MANDATES))
        return [POLICY_URI] if bears else []


def _failed(hearing: Hearing, error: ArgosyError) -> Hearing:
    assert hearing.case is not None
    failure = error if isinstance(error, JudgeError) else JudgeError(error.message, hint=error.hint)
    decision = conclude(hearing.case, [*hearing.opinions, failed(hearing.case, failure)])
    return replace(hearing, question=None, decision=decision)
