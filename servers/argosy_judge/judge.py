"""The judge: from a proposal to a judgment, by what the policy files of the moment say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from anyio import to_thread

from argosy_core.ids import new_id
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import DoctorFinding
from argosy_core.types import ActionClass
from argosy_core.views.agents import list_agents
from argosy_core.views.vault_reader import VaultReader
from argosy_judge.cases import Case, Specialist
from argosy_judge.classes import Classified, KnownTool, classify, identify
from argosy_judge.ensemble import Decision, Ensemble, blocked
from argosy_judge.explanation import explain, policy_document
from argosy_judge.inspection import inspect
from argosy_judge.models import Explanation, Judgment, ToolClass
from argosy_judge.proposal import Proposal, ProposalInvalid, read_proposal
from argosy_judge.specialists import ClassRules, Faults, MissingJudge, ScopeRules
from argosy_judge.standing import JUDGES, MCP, REGISTRY, TOOLS, Standing, StandingPolicies, files_of

JUDGE_ID = "rules"
_UNKNOWN = Classified(ActionClass.EXTERNAL_SIDE_EFFECT, "default_unknown")
POLICY_URI = "judge://policy"


class Judge:
    """Judges for every agent of the vault. A call is one hop to a worker thread."""

    def __init__(self, config: ServerConfig, specialists: tuple[Specialist, ...] = ()) -> None:
        files = config.store.files
        self._clock = config.clock
        self._ids = config.ids
        self._files = files
        self._reader = VaultReader(files)
        self._policies = StandingPolicies(files, config.clock)
        scope = ScopeRules(lambda: list_agents(self._reader), str(config.store.root))
        self._ensemble = Ensemble((Faults(), ClassRules(), MissingJudge(), scope, *specialists))

    async def evaluate(self, agent: str, proposal: Mapping[str, Any]) -> Judgment:
        """The judgment on *proposal* of *agent*. What is wrong with either is in it, not raised."""
        return await to_thread.run_sync(self._evaluate, agent, proposal)

    def _evaluate(self, agent: str, raw: Mapping[str, Any]) -> Judgment:
        started = self._clock.monotonic()
        standing = self._policies.current(agent)
        try:
            case = _case(read_proposal(raw), standing)
        except ProposalInvalid as error:
            decision = blocked(f"JudgeProposalInvalid: {error}")
            return self._judgment(standing, decision, _UNKNOWN, "", started)
        decision = self._ensemble.decide(case)
        return self._judgment(standing, decision, case.classified, case.proposal.arguments_hash, started)

    def _judgment(
        self, standing: Standing, decision: Decision, classified: Classified, digest: str, started: float
    ) -> Judgment:
        action_class = classified.action_class
        return Judgment(
            outcome=decision.outcome,
            reason=decision.reason,
            judge_id=JUDGE_ID,
            policy_version=standing.version,
            enforcement_action=decision.enforcement_action,
            proposal_id=new_id("proposal", self._clock, self._ids),
            classification=action_class,
            classification_source=classified.source,
            class_policy=standing.policy.class_policy[action_class],
            class_policy_source=standing.policy.source[action_class],
            arguments_hash=digest,
            latency_ms=round((self._clock.monotonic() - started) * 1000, 3),
        )

    async def tool_class(self, agent: str, server: str, name: str) -> ToolClass:
        """The class of a tool for *agent*."""
        standing = await to_thread.run_sync(self._policies.current, agent)
        tool = identify(name, server, standing)
        found = classify(tool, standing)
        fields = {"server": server, "tool": name, "class": found.action_class, "source": found.source}
        return ToolClass.model_validate(fields)

    async def explain(self, agent: str, name: str, arguments: dict[str, Any] | None) -> Explanation:
        """What the policy says of a call, without judging it for anybody."""
        return await to_thread.run_sync(self._explain, agent, name, arguments)

    def _explain(self, agent: str, name: str, arguments: dict[str, Any] | None) -> Explanation:
        raw = {"tool_name": name, "tool_call_id": "explain", "tool_arguments": arguments or {}}
        standing = self._policies.current(agent)
        try:
            case = _case(read_proposal(raw), standing)
        except ProposalInvalid as error:
            tool = KnownTool(name, None, False, None)
            case = Case(Proposal(name, None, "explain", {}, ""), tool, _UNKNOWN, standing)
            return explain(case, blocked(f"JudgeProposalInvalid: {error}"))
        return explain(case, self._ensemble.decide(case))

    async def policy(self, agent: str) -> str:
        """The policy in force for *agent* as JSON."""
        standing = await to_thread.run_sync(self._policies.current, agent)
        return json.dumps(policy_document(standing), ensure_ascii=False, indent=2)

    # What the server base asks

    async def counts(self, agent: str | None) -> dict[str, int]:
        if agent is None:
            return {}

        def count() -> dict[str, int]:
            standing = self._policies.current(agent)
            present = sum(self._files.info(path) is not None for path in files_of(agent))
            classified = len(standing.classification)
            faults = len(standing.gate) + len(standing.foreign)
            return {"policy_files": present, "classified_tools": classified, "faults": faults}

        return await to_thread.run_sync(count)

    async def doctor(self, agent: str | None) -> list[DoctorFinding]:
        def look() -> list[DoctorFinding]:
            agents = [agent] if agent else list_agents(self._reader)
            found = dict.fromkeys(finding for name in agents for finding in inspect(self._policies.current(name)))
            return list(found) or [DoctorFinding(status="pass", check="judge_policy", message="every policy reads")]

        return await to_thread.run_sync(look)

    def uris_of(self, path: str) -> list[str]:
        *folder, name = path.split("/")
        bears = path in (JUDGES, REGISTRY) or (len(folder) == 1 and name in (JUDGES, TOOLS, MCP))
        return [POLICY_URI] if bears else []


def _case(proposal: Proposal, standing: Standing) -> Case:
    tool = identify(proposal.tool_name, proposal.server, standing)
    return Case(proposal, tool, classify(tool, standing), standing)
