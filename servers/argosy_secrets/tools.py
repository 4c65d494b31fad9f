"""The secrets tools: validate, call, shape."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult, InputRequiredResult, TextContent
from pydantic import Field

from argosy_core.serving.identity import WhoCalls, resolve_caller
from argosy_core.serving.results import DEFAULT_LIMIT
from argosy_core.serving.toolbox import ToolBox
from argosy_core.types import ActionClass, Role
from argosy_secrets.asking import Asking
from argosy_secrets.keeper import Keeper
from argosy_secrets.models import Kept, Removed, Resolved, SecretCheck, SecretPage

SECRET_META = "argosy/secret"  # noqa: S105 - marks a result that holds a value: never log it, never show it
Name = Annotated[str, Field(description="A-Z, 0-9 and _, such as GITHUB_TOKEN")]


def build_tools(keeper: Keeper, asking: Asking) -> ToolBox:
    """The tools over *keeper*."""
    box = ToolBox()

    @box.tool("List secrets", default=True)
    async def secrets_list(
        caller: WhoCalls,
        limit: Annotated[int, Field(description="At most this many, up to 500")] = DEFAULT_LIMIT,
        cursor: Annotated[str | None, Field(description="next_cursor of the page before")] = None,
    ) -> SecretPage:
        """Names of the secrets and the tools each may go to, never values. To use one, write {{secret:NAME}} in a tool
        argument."""
        return await keeper.page(limit, cursor)

    @box.tool("Check a secret")
    async def secrets_check(caller: WhoCalls, name: Name) -> SecretCheck:
        """Whether one secret is set and can be used, and if not, why."""
        return await keeper.check(name)

    @box.tool("Resolve a secret", role=Role.HOST)
    async def secrets_resolve(caller: WhoCalls, name: Name) -> Annotated[CallToolResult, Resolved]:
        """The value of a secret, for the host of a run to put into a call that was allowed."""
        value = await keeper.resolve(caller, name)
        content: dict[str, Any] = {"name": name, "value": value.reveal()}
        text = TextContent(type="text", text=f"The value of {name} is in the structured content")
        return CallToolResult(content=[text], structured_content=content, _meta={SECRET_META: True})

    @box.tool("Set a secret", ActionClass.HIGH_RISK, role=Role.OPERATOR, destructive=True)
    async def secrets_set(ctx: Context[Any, Any], name: Name) -> Kept | InputRequiredResult:
        """Ask the person for a value and keep it in the encrypted file, in place of what was there."""
        return await asking.ask(ctx, "set", name, (await resolve_caller(ctx)).run)

    @box.tool("Rotate a secret", ActionClass.HIGH_RISK, role=Role.OPERATOR, destructive=True)
    async def secrets_rotate(ctx: Context[Any, Any], name: Name) -> Kept | InputRequiredResult:
        """Ask the person for a new value of a secret that is set; the old one stays out of texts."""
        await keeper.known(name)
        return await asking.ask(ctx, "rotate", name, (await resolve_caller(ctx)).run)

    @box.tool("Remove a secret", ActionClass.HIGH_RISK, role=Role.OPERATOR, destructive=True)
    async def secrets_remove(caller: WhoCalls, name: Name) -> Removed:
        """Remove a secret from the keyring and the encrypted file."""
        return await keeper.remove(name, caller.run)

    return box
