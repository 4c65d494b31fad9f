"""The specialists that need no model: what the policy files say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from argosy_core.policy.paths import readings, resolve_path
from argosy_core.policy.scope import check_write, find_paths, is_path_key
from argosy_core.types import ActionClass, ClassPolicy, Verdict
from argosy_core.yamltext import is_list, is_map
from argosy_judge.cases import Case, Opinion

_UNAVAILABLE = "JudgeUnavailable"


@dataclass(frozen=True, slots=True)
class Faults:
    """Blocks what is above reading while a policy file that bears on it cannot be read."""

    name: str = "faults"

    def evaluate(self, case: Case) -> Opinion:
        faults = (*case.standing.gate, *(() if case.tool.own else case.standing.foreign))
        if not faults or case.action_class is ActionClass.READ_ONLY:
            return Opinion(Verdict.ALLOW, "every policy file reads")
        hint = f" ({faults[0].hint})" if faults[0].hint else ""
        return Opinion(Verdict.BLOCK, f"JudgePolicyInvalid: {faults[0].message}{hint}")


@dataclass(frozen=True, slots=True)
class ClassRules:
    """What the class policy says of the tool's class."""

    name: str = "policy"

    def evaluate(self, case: Case) -> Opinion:
        said = f"{case.action_class} is {case.class_policy} ({source_of(case)})"
        if case.class_policy is ClassPolicy.ESCALATE:
            return Opinion(Verdict.ESCALATE, f"{said}: a person decides")
        return Opinion(Verdict.ALLOW, said)


@dataclass(frozen=True, slots=True)
class ScopeRules:
    """Whether every place that the arguments name is one the agent may write to.

    *agents* and *root* are the names of all agents (asked for only when a place lies outside the agent's folder) and
    the vault's absolute path. Tools of our own confine the names they take by themselves: of their arguments only
    those are looked at whose key means a path, and only when they lead out of the agent's folder.
    """

    agents: Callable[[], Sequence[str]]
    root: str
    name: str = "scope"

    def evaluate(self, case: Case) -> Opinion:
        if case.action_class is ActionClass.READ_ONLY:
            return Opinion(Verdict.ALLOW, "reading is not confined to the write paths")
        places = list(self._places(case))
        for pointer, text in places:
            reason = self._refusal(case, text)
            if reason is not None:
                return Opinion(Verdict.BLOCK, f"{_shown(text)} (argument {_shown(pointer)}) is out of scope: {reason}")
        return Opinion(Verdict.ALLOW, "every path is inside the write paths" if places else "no path is named")

    def _places(self, case: Case) -> Iterator[tuple[str, str]]:
        arguments = case.proposal.arguments
        if not case.tool.own:
            yield from find_paths(arguments)
        elif any(map(is_path_key, _keys(arguments))):
            for pointer, text in find_paths(arguments):
                if is_path_key(_last_name(pointer)) and self._leads_out(case.agent, text):
                    yield pointer, text

    def _leads_out(self, agent: str, text: str) -> bool:
        places = [resolve_path(form, agent, self.root) for form in readings(text)]
        return not all(place is not None and (place == agent or place.startswith(f"{agent}/")) for place in places)

    def _refusal(self, case: Case, text: str) -> str | None:
        tools = case.standing.tools
        check = check_write(tools, case.agent, text, root=self.root)
        if not check.allowed and self._leads_out(case.agent, text):
            check = check_write(tools, case.agent, text, agents=self.agents(), root=self.root)
        return None if check.allowed else check.reason


@dataclass(frozen=True, slots=True)
class MissingJudge:
    """Stands in for a judge that a policy file asks for and that is not there: a failure, which blocks by default."""

    name: str = "llm"

    def evaluate(self, case: Case) -> Opinion:
        settings = case.standing.policy.settings
        wanted = settings.backend if settings.backend != "rules" else ", ".join(settings.specialist_composition)
        if case.class_policy is not ClassPolicy.JUDGE_REQUIRED or not wanted:
            return Opinion(Verdict.ALLOW, "no other judge is asked for")
        verdict = settings.failure_policy.outcome(_UNAVAILABLE, case.action_class)
        return Opinion(verdict, f"{_UNAVAILABLE}: {settings.where} asks for a judge that is not there ({wanted})", True)


def source_of(case: Case) -> str:
    """Where the class policy of *case* is said: a file of the vault, or ``default``."""
    return {"judges.md": f"{case.agent}/judges.md", "project_floor": "judges.md"}.get(
        case.policy_source, case.policy_source
    )


def _keys(arguments: Any) -> Iterator[str]:
    """Every key at any depth; without recursion, since a caller chooses the depth."""
    pending = [arguments]
    while pending:
        value = pending.pop()
        if is_map(value):
            yield from value
            pending += value.values()
        elif is_list(value):
            pending += value


def _last_name(pointer: str) -> str:
    """The key nearest to what a JSON pointer points at; positions in lists are none."""
    names = [part for part in pointer.split("/") if not part.isdecimal()]
    return names[-1].replace("~1", "/").replace("~0", "~") if names else ""


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 120 else text[:117] + "...")
