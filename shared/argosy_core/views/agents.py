"""Agents as folders: which there are, and what each one's files say. One bad file never hides the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from argosy_core.errors import ArgosyError, InvalidArgument, NotFound
from argosy_core.policy.entries import without_remark
from argosy_core.policy.errors import Problem, decode
from argosy_core.policy.judges_md import JudgesFile, merge_floor, parse_judges
from argosy_core.policy.markdown import bullets, read_markdown
from argosy_core.policy.mcp_md import McpFile, parse_mcp
from argosy_core.policy.model_md import ModelFile, parse_model
from argosy_core.policy.persona import describe_agent, in_brief, mode_problems, operating_mode
from argosy_core.policy.tools_md import ToolsFile, parse_tools
from argosy_core.views.agent_files import AgentFiles
from argosy_core.views.fleet import FleetView, load_fleet
from argosy_core.views.reader import Reader
from argosy_core.views.skills import SkillView, list_skills
from argosy_core.yamltext import is_list, is_map, load_map

__all__ = ["AgentView", "FleetView", "default_agent", "list_agents", "load_agent", "load_fleet"]

MARKS = ("model.md", "agent.yaml")
# What an agent may do while its tools.md cannot be understood.
_NOTHING_WRITABLE = ToolsFile(write_paths=())


@dataclass(frozen=True, slots=True)
class AgentView:
    """What an agent's files say of it; *problems* names every file that could not be read whole.

    *judges* is None without a ``judges.md`` and while it is invalid: what is in force is `merge_floor`'s to say.
    """

    name: str
    description: str
    mode: str
    model: ModelFile
    tools: ToolsFile
    mcp: McpFile
    skills: tuple[SkillView, ...]
    roster: tuple[str, ...]
    capabilities: tuple[str, ...]
    contract: dict[str, Any] = field(default_factory=dict[str, Any])
    problems: tuple[Problem, ...] = ()
    judges: JudgesFile | None = None

    @property
    def is_goal_driven(self) -> bool:
        """Whether its goal decides, always or when a clock starts it."""
        return self.mode in ("goal-driven", "hybrid")


def list_agents(reader: Reader) -> list[str]:
    """Folders that hold ``model.md`` or ``agent.yaml``, sorted; names starting with ``_`` or ``.`` are none."""
    names = sorted(name for name in reader.list_dir("") if name and name[0] not in "._")
    return [name for name in names if any(mark in MARKS for mark in reader.list_dir(name))]


def default_agent(reader: Reader) -> str:
    """The agent meant when none is named. Raises InvalidArgument with the agents there are."""
    names = list_agents(reader)
    wanted = load_fleet(reader).default_agent
    if wanted in names:
        return wanted
    known = f"agents: {', '.join(names)}" if names else "there is none: mcp-host init makes a vault with one"
    if wanted:
        raise InvalidArgument(f"fleet.md names default_agent {wanted!r}, which is no agent", hint=known)
    if len(names) == 1:
        return names[0]
    raise InvalidArgument("which agent?", hint=f"name one, or set default_agent in fleet.md; {known}")


def load_agent(reader: Reader, name: str) -> AgentView:
    """What the files of agent *name* say. Raises NotFound when there is no such agent."""
    known = list_agents(reader)
    if name not in known:
        raise NotFound(f"there is no agent {name!r}", hint="agent_list shows the agents")
    files = AgentFiles(reader, name)
    identity = files.text("persona/IDENTITY.md")
    files.found("persona/IDENTITY.md", mode_problems(identity))
    model = parse_model(files.text("model.md"))
    files.found("model.md", model.problems)
    tools = files.parsed("tools.md", parse_tools, ToolsFile(), _NOTHING_WRITABLE)
    files.found("tools.md", tools.problems)
    contract = files.parsed("agent.yaml", _contract, dict[str, Any](), dict[str, Any]())
    given = contract.get("description")
    return AgentView(
        name=name,
        description=in_brief(given) if isinstance(given, str) and given.strip() else describe_agent(identity),
        mode=operating_mode(identity),
        model=model,
        tools=tools,
        mcp=files.parsed("mcp.md", parse_mcp, McpFile(), McpFile()),
        skills=_skills(reader, name, files),
        roster=_roster(files, name, known),
        capabilities=_capabilities(contract, files),
        contract=contract,
        judges=_judges(reader, files),
        problems=tuple(files.problems),
    )


def _contract(data: bytes) -> dict[str, Any]:
    fields = load_map(decode(data, "agent.yaml"))
    # The older contract stands in one `agent:` map.
    return fields["agent"] if is_map(fields.get("agent")) else fields


def _capabilities(contract: dict[str, Any], files: AgentFiles) -> tuple[str, ...]:
    given = contract.get("capabilities")
    if given is None:
        return ()
    if is_list(given) and all(isinstance(item, str) for item in given):
        return tuple(given)
    files.found("agent.yaml", [Problem(1, "capabilities must be a list of texts", fix="capabilities: [name, name]")])
    return ()


def _judges(reader: Reader, files: AgentFiles) -> JudgesFile | None:
    def parse(data: bytes) -> JudgesFile:
        judges = parse_judges(data)
        merge_floor(_floor(reader), judges)
        return judges

    return files.parsed("judges.md", parse, None, None)


def _floor(reader: Reader) -> JudgesFile | None:
    # A floor that cannot be read is the fleet's problem, not this agent's.
    try:
        data = reader.read("judges.md")
        return None if data is None else parse_judges(data, "judges.md of the fleet")
    except ArgosyError:
        return None


def _skills(reader: Reader, name: str, files: AgentFiles) -> tuple[SkillView, ...]:
    try:
        found = list_skills(reader, name)
    except ArgosyError as exc:
        files.found("skills", [Problem(1, exc.message, "error", exc.hint or "look at the folder")])
        return ()
    files.problems += [problem for skill in found for problem in skill.problems]
    return tuple(found)


def _roster(files: AgentFiles, own: str, known: list[str]) -> tuple[str, ...]:
    """``## Delegate to``: the first word of each bullet is an agent; the rest is a remark."""
    found = list(_delegates(files.text("roster.md")))
    for line, name in found:
        if name not in known or name == own:
            message = "an agent cannot delegate to itself" if name == own else f"there is no agent {name!r}"
            files.found("roster.md", [Problem(line, message, fix=f"agents: {', '.join(known)}")])
    return tuple(dict.fromkeys(name for _, name in found if name != own))


def _delegates(text: str) -> Iterator[tuple[int, str]]:
    for section in read_markdown(text).named("delegate to"):
        for bullet in bullets(section.lines):
            words = without_remark(bullet.text).split()
            if words:
                yield bullet.line, words[0].strip("*`:,")
