"""The catalog: agents, skills and servers of a vault, read afresh for every question."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from anyio import to_thread

from argosy_core.errors import ArgosyError, Corrupted, NotFound
from argosy_core.fleet import FILE, FleetServer, Registry, load_registry, packaged
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import DoctorFinding, clamp_limit, decode_cursor, encode_cursor
from argosy_core.views.agents import list_agents, load_fleet
from argosy_core.views.assembly import Assembly, assemble
from argosy_core.views.skills import SkillView, list_skills
from argosy_core.views.texts import TolerantReader
from argosy_core.views.vault_reader import VaultReader
from argosy_registry.agents import PERSONA, describe, fits, read_agent, skill_item, summarize
from argosy_registry.models import (
    AgentDetail,
    AgentPage,
    ServerItem,
    ServerPage,
    SkillPage,
    SkillText,
)
from argosy_registry.skills import find_skill, load_file

_T = TypeVar("_T")


class Catalog:
    """Answers for every agent of the vault. A question is one hop to a worker thread."""

    def __init__(self, config: ServerConfig) -> None:
        self._reader = VaultReader(config.store.files)
        self._clock = config.clock

    # Agents

    async def agents(self, capability: str | None, query: str | None, limit: int, cursor: str | None) -> AgentPage:
        """Agents in name order that have *capability* and all words of *query*."""

        def look() -> AgentPage:
            after = _position(cursor)
            names = [name for name in list_agents(self._reader) if name > after]
            return _page(AgentPage, (s for s in self._summaries(names, capability, query)), limit)

        return await to_thread.run_sync(look)

    def _summaries(self, names: Sequence[str], capability: str | None, query: str | None) -> Iterator[Any]:
        for name in names:
            try:
                view, problems = read_agent(self._reader, name)
            except NotFound:
                continue  # renamed while we read the others
            if fits(view, capability, query):
                yield summarize(view, problems)

    async def agent(self, name: str) -> AgentDetail:
        """All that the files of agent *name* say. Raises NotFound."""
        return await to_thread.run_sync(lambda: describe(*read_agent(self._reader, name)))

    async def agent_json(self, name: str) -> str:
        """The same as JSON."""
        return (await self.agent(name)).model_dump_json(indent=2)

    async def persona(self, name: str) -> str:
        """The persona files of agent *name* as one text. Raises NotFound when it has none."""

        def look() -> str:
            files = TolerantReader(self._reader)
            texts = [files.text(f"{name}/persona/{file}") for file in PERSONA] if name in list_agents(files) else []
            found = [text.strip() for text in texts if text]
            if not found:
                raise NotFound(f"there is no persona {name[:80]!r}", hint="agent_list shows the agents")
            return "\n\n".join(found)

        return await to_thread.run_sync(look)

    def assembled(self, name: str) -> Assembly:
        """What agent *name* starts with. Blocks. Raises NotFound."""
        if name not in list_agents(TolerantReader(self._reader)):
            raise NotFound(f"there is no agent {name[:80]!r}", hint="agent_list shows the agents")
        return assemble(self._reader, name, today=self._clock.now().date())

    # Skills

    async def skills(self, agent: str | None, limit: int, cursor: str | None) -> SkillPage:
        """The skills of *agent* and the fleet in name order."""

        def look() -> SkillPage:
            found, problems = self._skills(agent)
            after = _position(cursor)
            items = (skill_item(skill) for skill in found if skill.name > after)
            return _page(SkillPage, items, limit).model_copy(update={"problems": problems})

        return await to_thread.run_sync(look)

    def _skills(self, agent: str | None) -> tuple[list[SkillView], list[str]]:
        files = TolerantReader(self._reader)
        found = sorted(list_skills(files, agent), key=lambda skill: skill.name)
        return found, [problem.message for problem in files.problems]

    async def skill_views(self, agent: str | None) -> Sequence[SkillView]:
        """The skills of *agent* and the fleet in name order."""
        return await to_thread.run_sync(lambda: self._skills(agent)[0])

    async def skill(self, agent: str | None, name: str, file: str | None = None) -> SkillText:
        """One file of a skill, its procedure when none is named."""
        return await to_thread.run_sync(lambda: load_file(self._reader, find_skill(self._reader, agent, name), file))

    async def skill_text(self, agent: str | None, name: str) -> str:
        """The procedure of a skill."""
        return (await self.skill(agent, name)).text

    # Servers

    async def servers(self, limit: int, cursor: str | None) -> ServerPage:
        """The servers of the fleet and the vault in name order. A broken registry.json is named beside the others."""

        def look() -> ServerPage:
            registry, problems = self._registry()
            after = _position(cursor)
            items = (_server_item(server) for server in registry.servers if server.name > after)
            return _page(ServerPage, items, limit).model_copy(update={"problems": [p.message for p in problems]})

        return await to_thread.run_sync(look)

    def _registry(self) -> tuple[Registry, list[Corrupted]]:
        try:
            return load_registry(self._reader.read(FILE)), []
        except Corrupted as error:
            return packaged(), [error]
        except ArgosyError as error:
            return packaged(), [Corrupted(error.message, hint=error.hint)]

    # What the server base asks

    async def counts(self, agent: str | None) -> dict[str, int]:
        def look() -> dict[str, int]:
            registry, _ = self._registry()
            skills, _ = self._skills(agent)
            return {
                "agents": len(list_agents(TolerantReader(self._reader))),
                "skills": len(skills),
                "servers": len(registry.servers),
            }

        return await to_thread.run_sync(look)

    async def doctor(self, agent: str | None) -> list[DoctorFinding]:
        def look() -> list[DoctorFinding]:
            found = [*self._fleet_findings(), *self._agent_findings(agent)]
            return found or [DoctorFinding(status="pass", check="registry", message="every agent and server reads")]

        return await to_thread.run_sync(look)

    def _fleet_findings(self) -> Iterator[DoctorFinding]:
        for error in self._registry()[1]:
            line = error.detail.get("line")
            yield DoctorFinding(
                status="fail",
                check="registry_json",
                message=error.message,
                file=FILE,
                line=line if isinstance(line, int) else None,
                fix=error.hint or "mend the file",
            )
        names = list_agents(TolerantReader(self._reader))
        fleet = load_fleet(TolerantReader(self._reader))
        if fleet.default_agent is not None and fleet.default_agent not in names:
            yield DoctorFinding(
                status="fail",
                check="default_agent",
                message=f"default_agent is {fleet.default_agent!r}, and there is no such agent",
                file="fleet.md",
                fix=f"name one of: {', '.join(names) or 'none yet'}",
            )

    def _agent_findings(self, agent: str | None) -> Iterator[DoctorFinding]:
        names = list_agents(TolerantReader(self._reader))
        for name in names if agent is None else [n for n in names if n == agent]:
            for problem in read_agent(self._reader, name)[1]:
                yield DoctorFinding(
                    status="fail" if problem.severity == "error" else "warn",
                    check="agent_files",
                    message=problem.message,
                    file=problem.file,
                    line=problem.line,
                    fix=problem.fix or "mend the line",
                )

    def uris_of(self, path: str) -> list[str]:
        parts = path.split("/")
        agents = [f"agent://{parts[0]}"] if parts[0][:1] not in ("_", ".", "") else []
        if len(parts) == 2:
            return agents
        if len(parts) == 3 and parts[1] == "persona":
            return [f"persona://{parts[0]}", *agents]
        if len(parts) > 3 and parts[1] == "skills":
            return [f"skill://{parts[2]}", *agents]
        return []


def _server_item(server: FleetServer) -> ServerItem:
    return ServerItem(
        name=server.name,
        title=server.title,
        description=server.description,
        transport=server.transport,
        own=server.own,
        tools=len(server.tools),
        env=list(server.env),
        digest=server.digest,
    )


def _position(cursor: str | None) -> str:
    return str(decode_cursor(cursor, 1)[0]) if cursor else ""


def _page(kind: Callable[..., _T], items: Iterator[Any], limit: int) -> _T:
    """A page of at most *limit* named items; one more is looked at to know whether another page follows."""
    limit = clamp_limit(limit)
    taken = [item for item, _ in zip(items, range(limit + 1), strict=False)]
    following = encode_cursor(taken[limit - 1].name) if len(taken) > limit else None
    return kind(items=taken[:limit], next_cursor=following)
