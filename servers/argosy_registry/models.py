"""What the registry's tools return."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from argosy_core.serving.results import Page, Result


class FileProblem(Result):
    """Something in a file that could not be used."""

    file: str
    line: int
    message: str
    severity: Literal["error", "warning"]
    fix: str

    def render(self) -> str:
        return f"{self.file}:{self.line}: {self.message}{f' → {self.fix}' if self.fix else ''}"


class AgentSummary(Result):
    """An agent in a list."""

    name: str
    description: str
    mode: str
    model: str | None
    capabilities: list[str]
    skills: list[str]
    problems: int = Field(description="How many of its files have problems; agent_describe names them")
    uri: str

    def render(self) -> str:
        problems = f" [{self.problems} problems]" if self.problems else ""
        return f"{self.name} ({self.mode}): {self.description}{problems}"


class AgentModel(Result):
    """The models that an agent asks for."""

    default: str | None
    fallback: str | None
    provider: str | None


class SkillItem(Result):
    """A skill in a menu. *source* says whose it is."""

    name: str
    description: str
    when_to_use: str
    source: Literal["agent", "fleet"]
    path: str
    uri: str
    problem: str | None = None

    def render(self) -> str:
        when = f" Use: {self.when_to_use}" if self.when_to_use else ""
        return f"{self.name}: {self.description}{when}"


class AgentDetail(Result):
    """All that an agent's files say of it."""

    name: str
    description: str
    mode: str
    model: AgentModel
    capabilities: list[str]
    contract: dict[str, Any] = Field(description="agent.yaml as it stands")
    delegates_to: list[str]
    skills: list[SkillItem]
    read_paths: list[str]
    write_paths: list[str]
    read_only_paths: list[str]
    never: list[str]
    tool_classes: dict[str, str]
    servers: list[str] = Field(description="Servers its mcp.md asks for; off until the owner approves them")
    problems: list[FileProblem]
    uri: str

    def render(self) -> str:
        lines = [
            f"{self.name} ({self.mode}): {self.description}",
            f"model: {self.model.default or 'the default'}",
            _listed("capabilities", self.capabilities),
            _listed("delegates to", self.delegates_to),
            _listed("skills", [skill.name for skill in self.skills]),
            _listed("may write", self.write_paths),
            _listed("never writes", self.read_only_paths),
            _listed("servers", self.servers),
            *(f"never: {rule}" for rule in self.never),
            *(f"problem: {problem.render()}" for problem in self.problems),
        ]
        return "\n".join(line for line in lines if line)


class SkillText(Result):
    """One file of a skill. *files* are the others that skill_load can give."""

    name: str
    file: str
    text: str
    files: list[str]
    path: str

    def render(self) -> str:
        others = [name for name in self.files if name != self.file]
        return self.text + (f"\n\nFiles of this skill: {', '.join(others)}" if others else "")


class ServerItem(Result):
    """A server. One that is not our own is off until its digest is approved outside the vault."""

    name: str
    title: str
    description: str
    transport: str
    own: bool
    tools: int = Field(description="Tools known beforehand; a server that is not our own may have more")
    env: list[str] = Field(description="Names of the variables it takes, never values")
    digest: str

    def render(self) -> str:
        whose = "" if self.own else ", not our own: off until approved"
        return f"{self.name} ({self.transport}, {self.tools} tools{whose}): {self.description}"


class AgentPage(Page[AgentSummary]):
    """Agents of the vault."""


class SkillPage(Page[SkillItem]):
    """Skills that the caller may load, and what could not be read."""

    problems: list[str] = Field(default_factory=list[str])

    def render(self) -> str:
        return _with_problems(super().render(), self.problems)


class ServerPage(Page[ServerItem]):
    """Servers of the fleet and the vault, and what could not be read."""

    problems: list[str] = Field(default_factory=list[str])

    def render(self) -> str:
        return _with_problems(super().render(), self.problems)


def _with_problems(text: str, problems: list[str]) -> str:
    return "\n".join([text, *(f"problem: {problem}" for problem in problems)])


def _listed(label: str, names: list[str]) -> str:
    return f"{label}: {', '.join(names)}" if names else ""
