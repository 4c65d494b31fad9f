"""Prompts of the registry: an agent's whole context, and one for every text skill there is at the moment."""

from __future__ import annotations

import re
from typing import Annotated, Any, cast

from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, GetPromptResult, InputRequiredResult, PromptMessage, TextContent
from mcp_types import Prompt as MCPPrompt
from pydantic import Field

from argosy_core.errors import ArgosyError
from argosy_core.serving.server import ArgosyServer
from argosy_core.views.skills import SkillView, skill_folders
from argosy_registry.catalog import Catalog

SKILL_PREFIX = "skill_"  # so that no skill takes the name of another server's prompt
# Clients refuse a whole list for one name they do not like.
_PROMPT_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class RegistryServer(ArgosyServer):
    """The registry, whose prompts follow the skills in the vault."""

    @property
    def catalog(self) -> Catalog:
        return cast("Catalog", self.domain)

    async def list_prompts(self) -> list[MCPPrompt]:
        skills = await self.catalog.skill_views(self.config.agent)
        fitting = (skill for skill in skills if _PROMPT_NAME.fullmatch(_name(skill)))
        return [*await super().list_prompts(), *map(_prompt, fitting)]

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[None, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        try:
            if name.startswith(SKILL_PREFIX):
                found = await self.catalog.skill(self.config.agent, name.removeprefix(SKILL_PREFIX))
                message = PromptMessage(role="user", content=TextContent(type="text", text=found.text))
                return GetPromptResult(messages=[message])
            return await super().get_prompt(name, arguments, context)
        except ArgosyError as error:
            raise MCPError(code=INVALID_PARAMS, message=f"{error.code}: {error}") from error


def add_assume(server: RegistryServer) -> None:
    """Give *server* the prompt that turns any client into one of the agents."""

    @server.prompt(name="assume", title="Be an agent", description="An agent's whole context, for any client")
    def assume(agent: Annotated[str, Field(description="The agent's name")]) -> str:
        try:
            assembly = server.catalog.assembled(agent)
        except ArgosyError as error:
            raise MCPError(code=INVALID_PARAMS, message=f"{error.code}: {error}") from error
        missing = [f"(could not be read: {problem})" for problem in assembly.problems]
        return "\n\n".join([f"From here on you are the agent {agent}. What follows is yours.", assembly.text, *missing])


def changes_skills(agent: str | None, path: str) -> bool:
    """Whether a change of the vault's file *path* may change which skills *agent* has, or what is said of them."""
    return not path or any(f"{path}/".startswith(f"{folder}/") for folder in skill_folders(agent))


def _name(skill: SkillView) -> str:
    return f"{SKILL_PREFIX}{skill.name}"


def _prompt(skill: SkillView) -> MCPPrompt:
    return MCPPrompt(name=_name(skill), title=skill.name, description=skill.description or skill.when_to_use)
