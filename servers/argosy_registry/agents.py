"""Agents as the registry shows them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from argosy_core.policy.errors import Problem
from argosy_core.policy.tools_md import PathRule
from argosy_core.views.agents import AgentView, load_agent
from argosy_core.views.reader import Reader
from argosy_core.views.skills import FLEET_FOLDER, SkillView
from argosy_core.views.texts import TolerantReader
from argosy_registry.models import AgentDetail, AgentModel, AgentSummary, FileProblem, SkillItem

PERSONA = ("IDENTITY.md", "SOUL.md", "USER.md")


def read_agent(reader: Reader, name: str) -> tuple[AgentView, list[Problem]]:
    """What the files of *name* say, and everything that is wrong with them. Raises NotFound."""
    files = TolerantReader(reader)
    view = load_agent(files, name)
    tools = [problem.within(f"{name}/tools.md") for problem in view.tools.problems]
    return view, list(dict.fromkeys((*view.problems, *tools, *files.problems)))


def summarize(view: AgentView, problems: Sequence[Problem]) -> AgentSummary:
    """An agent as a list shows it."""
    return AgentSummary(
        name=view.name,
        description=view.description,
        mode=view.mode,
        model=view.model.default_model,
        capabilities=list(view.capabilities),
        skills=[skill.name for skill in view.skills],
        problems=len(problems),
        uri=f"agent://{view.name}",
    )


def describe(view: AgentView, problems: Sequence[Problem]) -> AgentDetail:
    """An agent in full."""
    model, tools = view.model, view.tools
    return AgentDetail(
        name=view.name,
        description=view.description,
        mode=view.mode,
        model=AgentModel(default=model.default_model, fallback=model.fallback_model, provider=model.provider),
        capabilities=list(view.capabilities),
        contract=view.contract,
        delegates_to=list(view.roster),
        skills=[skill_item(skill) for skill in view.skills],
        read_paths=_paths(tools.read_paths),
        write_paths=_paths(tools.write_paths) if tools.write_paths is not None else [f"{view.name}/"],
        read_only_paths=_paths(tools.read_only_paths),
        never=list(tools.hard_nos),
        tool_classes={tool: action_class.value for tool, action_class in tools.classification.items()},
        servers=[entry.server for entry in view.mcp.entries],
        problems=[file_problem(problem) for problem in problems],
        uri=f"agent://{view.name}",
    )


def skill_item(skill: SkillView) -> SkillItem:
    """A skill as a menu shows it."""
    return SkillItem(
        name=skill.name,
        description=skill.description,
        when_to_use=skill.when_to_use,
        source="fleet" if skill.path.startswith(f"{FLEET_FOLDER}/") else "agent",
        path=skill.path,
        uri=f"skill://{skill.name}",
        problem=skill.degraded,
    )


def file_problem(problem: Problem) -> FileProblem:
    """A problem as it leaves the server."""
    return FileProblem(
        file=problem.file, line=problem.line, message=problem.message, severity=problem.severity, fix=problem.fix
    )


def fits(view: AgentView, capability: str | None, query: str | None) -> bool:
    """Whether an agent has *capability*, and every word of *query* in its name, description or capabilities."""
    if capability is not None and _fold(capability.strip()) not in map(_fold, view.capabilities):
        return False
    haystack = _fold(" ".join((view.name, view.description, *view.capabilities)))
    return all(word in haystack for word in _fold(query or "").split())


def _paths(rules: Iterable[PathRule]) -> list[str]:
    return [rule.path for rule in rules]


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
