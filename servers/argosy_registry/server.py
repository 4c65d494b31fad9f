"""Builds the registry server."""

from __future__ import annotations

from argosy_core.serving.config import ServerConfig
from argosy_registry.catalog import Catalog
from argosy_registry.prompts import RegistryServer, add_assume
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
    )
    add_assume(server)

    @server.resource(
        "agent://{name}", name="agent", title="An agent", mime_type="application/json",
        description="What one agent's files say of it, as JSON",
    )  # fmt: skip
    async def agent(name: str) -> str:
        return await server.document_of(catalog.agent_json, name)

    @server.resource(
        "persona://{name}", name="persona", title="An agent's persona", mime_type="text/markdown",
        description="Identity, voice and user of one agent, as its owner wrote them",
    )  # fmt: skip
    async def persona(name: str) -> str:
        return await server.document_of(catalog.persona, name)

    @server.resource(
        "skill://{name}", name="skill", title="A skill", mime_type="text/markdown",
        description="The procedure of one skill",
    )  # fmt: skip
    async def skill(name: str) -> str:
        return await server.document_of(lambda wanted: catalog.skill_text(config.agent, wanted), name)

    return server
