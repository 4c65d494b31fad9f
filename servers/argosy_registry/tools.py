"""The registry's tools: validate, call, shape."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from argosy_core.serving.identity import WhoCalls
from argosy_core.serving.results import DEFAULT_LIMIT
from argosy_core.serving.toolbox import ToolBox
from argosy_registry.catalog import Catalog
from argosy_registry.models import AgentDetail, AgentPage, ServerPage, SkillPage, SkillText

Limit = Annotated[int, Field(description="At most this many, up to 500")]
Cursor = Annotated[str | None, Field(description="next_cursor of the page before")]


def build_tools(catalog: Catalog) -> ToolBox:
    """The tools over *catalog*."""
    box = ToolBox()

    @box.tool("List agents", default=True)
    async def agent_list(
        caller: WhoCalls,
        capability: Annotated[str | None, Field(description="Only agents that state this capability")] = None,
        query: Annotated[str | None, Field(description="Words that must all occur")] = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> AgentPage:
        """The agents of this vault, with what each is for. Ask it to find who could do a piece of work."""
        return await catalog.agents(capability, query, limit, cursor)

    @box.tool("Describe an agent", default=True)
    async def agent_describe(
        caller: WhoCalls, agent: Annotated[str, Field(description="The agent's name")]
    ) -> AgentDetail:
        """One agent in full: model, skills, what it may write, whom it delegates to, and what is wrong in its files."""
        return await catalog.agent(agent)

    @box.tool("List skills", default=True)
    async def skill_list(caller: WhoCalls, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> SkillPage:
        """The skills you can load: written procedures, with when to use each."""
        return await catalog.skills(caller.agent, limit, cursor)

    @box.tool("Load a skill", default=True)
    async def skill_load(
        caller: WhoCalls,
        skill: Annotated[str, Field(description="The skill's name")],
        file: Annotated[str | None, Field(description="Another file of the skill, as skill_load lists them")] = None,
    ) -> SkillText:
        """Read a skill's procedure before doing what it is for, or one of the files it refers to."""
        return await catalog.skill(caller.agent, skill, file)

    @box.tool("List servers")
    async def server_list(caller: WhoCalls, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> ServerPage:
        """The tool servers of the fleet and of this vault, and how each is reached."""
        return await catalog.servers(limit, cursor)

    return box
