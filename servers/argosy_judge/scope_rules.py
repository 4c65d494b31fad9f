"""The specialist for places: folders, hosts and texts that a call's arguments name, at any depth and under any key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from argosy_core.policy.hosts import check_hosts_in
from argosy_core.policy.paths import readings, resolve_path
from argosy_core.policy.patterns import covers, name_inside
from argosy_core.policy.scope import check_write, find_paths, is_path_key
from argosy_core.policy.tools_md import DeniedArgument
from argosy_core.types import ActionClass, Verdict
from argosy_core.yamltext import is_list, is_map
from argosy_judge.cases import Case, Opinion


@dataclass(frozen=True, slots=True)
class ScopeRules:
    """Whether every place that the arguments name is one the agent may write to, every host one it may reach.

    *agents* and *root* are the names of all agents (asked for only when a place lies outside the agent's folder) and
    the vault's absolute path. Tools of our own confine the names they take by themselves: of their arguments only
    those are looked at whose key means a path, and only when they lead out of the agent's folder.
    """

    agents: Callable[[], Sequence[str]]
    root: str
    name: str = "scope"

    def evaluate(self, case: Case) -> Opinion:
        reads = case.action_class is ActionClass.READ_ONLY
        places = [] if reads else list(self._places(case))
        refused = self._denied_text(case) or self._refused_place(case, places)
        if refused is None and not case.tool.own:
            refused = _host_refusal(case)
        if refused is not None:
            return Opinion(Verdict.BLOCK, refused)
        if reads:
            return Opinion(Verdict.ALLOW, "reading is not confined to the write paths")
        return Opinion(Verdict.ALLOW, "every path is inside the write paths" if places else "no path is named")

    def _refused_place(self, case: Case, places: Iterable[tuple[str, str]]) -> str | None:
        for pointer, text in places:
            reason = self._refusal(case, text)
            if reason is not None:
                return f"{_shown(text)} (argument {_shown(pointer)}) is out of scope: {reason}"
        return None

    def _denied_text(self, case: Case) -> str | None:
        denied = case.standing.tools.denied_arguments if case.standing.tools else ()
        bears = [rule for rule in denied if covers(frozenset({rule.tool}), case.tool.full_name, name_inside)]
        if not bears:
            return None
        for text in _all_texts(case.proposal.arguments):
            for form in readings(text):
                rule = _denying(bears, form)
                if rule is not None:
                    return f"{_shown(text)} is a denied argument (line {rule.line} of tools.md)"
        return None

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
        if not check.allowed:
            return check.reason
        grant = case.situation.grant
        places = [] if grant.paths is None else [resolve_path(form, case.agent, self.root) for form in readings(text)]
        if all(place is not None and grant.allows_path(place) for place in places):
            return None
        return "no folder of the run's grant covers it"


def _host_refusal(case: Case) -> str | None:
    tools = case.standing.tools
    allowed, blocked = (tools.allowed_hosts, tools.blocked_hosts) if tools else (None, frozenset[str]())
    check = check_hosts_in(case.proposal.arguments, allowed, blocked, case.situation.grant.hosts)
    return None if check.allowed else f"out of scope: {check.reason}"


def _denying(rules: Iterable[DeniedArgument], text: str) -> DeniedArgument | None:
    folded = text.casefold()
    return next((rule for rule in rules if _holds(folded, rule.pattern.casefold().split("*"))), None)


def _holds(text: str, parts: Sequence[str]) -> bool:
    """Whether *text* holds all of *parts* one after the other, with anything between them."""
    at = 0
    for part in parts:
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _all_texts(arguments: Any) -> Iterator[str]:
    """Every text at any depth, names of fields too; without recursion, since a caller chooses the depth."""
    pending = [arguments]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        elif is_map(value):
            yield from value
            pending += value.values()
        elif is_list(value):
            pending += value


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
