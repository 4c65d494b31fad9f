"""Tools that answer on their own: every kind of content, an error, progress, log lines, change notices, schemas."""

from __future__ import annotations

import json
import warnings
from typing import Annotated, Any

import anyio
from fixture_content import audio_block, image_block, said, text_block, text_resource
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp_types import CallToolResult
from pydantic import Field

from argosy_core.errors import InvalidArgument
from argosy_core.serving.schema import compact_input
from argosy_core.serving.server import ArgosyServer
from argosy_core.serving.toolbox import Schemas, ToolBox

STEP_SECONDS = 0.05
_STRICT = "json_schema_2020_12_tool"
_Ctx = Context[Any, Any]


def add_answers(box: ToolBox) -> None:
    """Declare them in *box*."""
    _add_content(box)
    _add_notices(box)
    _add_schemas(box)


def _add_content(box: ToolBox) -> None:
    @box.tool("Text", default=True)
    async def test_simple_text() -> CallToolResult:
        """Answer with a text."""
        return said("A text, and nothing else.")

    @box.tool("Image", default=True)
    async def test_image_content() -> CallToolResult:
        """Answer with a picture."""
        return CallToolResult(content=[image_block()])

    @box.tool("Audio", default=True)
    async def test_audio_content() -> CallToolResult:
        """Answer with a sound."""
        return CallToolResult(content=[audio_block()])

    @box.tool("Resource", default=True)
    async def test_embedded_resource() -> CallToolResult:
        """Answer with a resource."""
        return CallToolResult(content=[text_resource("test://embedded-resource", "text/plain", "A resource.")])

    @box.tool("Several kinds", default=True)
    async def test_multiple_content_types() -> CallToolResult:
        """Answer with a text, a picture and a resource."""
        resource = text_resource("test://mixed-content-resource", "application/json", json.dumps({"one": 1}))
        return CallToolResult(content=[text_block("A text, a picture, a resource:"), image_block(), resource])

    @box.tool("Error", default=True)
    async def test_error_handling() -> CallToolResult:
        """Fail."""
        raise InvalidArgument("this tool fails whenever it is called", hint="call another one")


def _add_notices(box: ToolBox) -> None:
    @box.tool("Progress", default=True)
    async def test_tool_with_progress(ctx: _Ctx) -> CallToolResult:
        """Tell how far it is, in three steps."""
        for done in (0, 50, 100):
            await ctx.report_progress(done, 100, f"{done} of 100")
            await anyio.sleep(STEP_SECONDS)
        return said("all of 100")

    @box.tool("Log", default=True)
    async def test_tool_with_logging(ctx: _Ctx) -> CallToolResult:
        """Tell the client's log three things."""
        for line in ("it begins", "it goes on", "it ends"):
            await _log(ctx, line)
            await anyio.sleep(STEP_SECONDS)
        return said("logged")

    @box.tool("Log unasked", default=True)
    async def test_logging_tool(ctx: _Ctx) -> CallToolResult:
        """Tell the client's log one thing."""
        await _log(ctx, "heard by those who asked for it")
        return said("logged")

    @box.tool("Close the stream", default=True)
    async def test_reconnection(ctx: _Ctx) -> CallToolResult:
        """Let go of the stream on which the answer was to come."""
        await ctx.close_sse_stream()
        await anyio.sleep(STEP_SECONDS)
        return said("this comes when the client is back")

    @box.tool("Change tools", default=True)
    async def test_trigger_tool_change(ctx: _Ctx) -> CallToolResult:
        """Say that there are other tools now."""
        await ctx.notify_tools_changed()
        return said("told")

    @box.tool("Change prompts", default=True)
    async def test_trigger_prompt_change(ctx: _Ctx) -> CallToolResult:
        """Say that there are other prompts now."""
        await ctx.notify_prompts_changed()
        return said("told")


async def _log(ctx: _Ctx, line: str) -> None:
    with warnings.catch_warnings():  # given up by the protocol, and still part of its older era
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        await ctx.info(line)  # pyright: ignore[reportDeprecated]


def _add_schemas(box: ToolBox) -> None:
    @box.tool("Argument in a header", default=True)
    async def test_x_mcp_header(
        region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})],
    ) -> CallToolResult:
        """Answer with an argument that clients put into a header too."""
        return said(region)

    @box.tool("Schema", default=True)
    async def json_schema_2020_12_tool(
        name: str | None = None,
        address: dict[str, str] | None = None,
        contactMethod: str | None = None,
        phone: str | None = None,
        email: str | None = None,
    ) -> CallToolResult:
        """Take what a schema with conditions and compositions describes."""
        return said(f"{name or 'somebody'} at {phone or email}")


def add_strict_schema(server: ArgosyServer) -> None:
    """Describe one tool of *server* by a schema that no signature can say: of JSON Schema 2020-12, with conditions."""
    server.entries[_STRICT].kept_schemas = Schemas(compact_input(_strict_schema()), None)


def _strict_schema() -> dict[str, Any]:
    texts: dict[str, Any] = {name: {"type": "string"} for name in ("name", "phone", "email")}
    parts = {name: {"type": "string"} for name in ("street", "city")}
    by_phone = {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            **texts,
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        },
        "$defs": {"address": {"$anchor": "address", "type": "object", "properties": parts}},
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": by_phone,
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
    }
