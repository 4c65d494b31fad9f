"""Builds the registry server."""

from __future__ import annotations

from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import MAX_LIMIT
from argosy_core.types import Caller
from argosy_registry.catalog import Catalog
from argosy_registry.prompts import RegistryServer, add_assume, changes_skills
from argosy_registry.tools import build_tools


def create(config: ServerConfig) -> RegistryServer:
    """The registry server for *config*."""
    catalog = Catalog(config)
    server = RegistryServer(
        "registry",
        config,
        catalog,
        build_tools(catalog),
        title="Registry",
        instructions="Which agents, skills and servers there are. Load a skill before doing what it is for.",
        changes_prompts=lambda path: changes_skills(config.agent, path),
    )
    add_assume(server)

    async def agent_json(_: Caller, name: str) -> str:
        return await catalog.agent_json(name)

    async def persona_text(_: Caller, name: str) -> str:
        return await catalog.persona(name)

    async def skill_text(caller: Caller, name: str) -> str:
        return await catalog.skill_text(caller.agent, name)

    @server.resource(
        "agent://{name}", name="agent", title="An agent", mime_type="application/json",
        description="What one agent's files say of it, as JSON",
    )  # fmt: skip
    async def agent(name: str) -> str:
        return await server.document_of(agent_json, name)

    @server.resource(
        "persona://{name}", name="persona", title="An agent's persona", mime_type="text/markdown",
        description="Identity, voice and user of one agent, as its owner wrote them",
    )  # fmt: skip
    async def persona(name: str) -> str:
        return await server.document_of(persona_text, name)

    @server.resource(
        "skill://{name}", name="skill", title="A skill", mime_type="text/markdown",
        description="The procedure of one skill",
    )  # fmt: skip
    async def skill(name: str) -> str:
        return await server.document_of(skill_text, name)

    async def agents(caller: Caller) -> list[str]:
        return [agent.name for agent in (await catalog.agents(None, None, MAX_LIMIT, None)).items]

    async def skills(caller: Caller) -> list[str]:
        return [skill.name for skill in await catalog.skill_views(caller.agent)]

    server.completions.add_names(agents, ("agent://{name}", "name"), ("persona://{name}", "name"), ("assume", "agent"))
    server.completions.add_names(skills, ("skill://{name}", "name"))
    return server
