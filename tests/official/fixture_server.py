"""The server that the conformance suite wants to find: tools, prompts and resources of the names it asks for.

It is written as anybody would write a server for Argosy (docs/writing-a-server.md): a function of one `ServerConfig`,
on the base and the SDK's public ways. What is tested through it is how Argosy serves, not what it does.
"""

from __future__ import annotations

import json
from typing import Any

from fixture_answers import add_answers, add_strict_schema
from fixture_content import IMAGE, image_block, text_block, text_resource
from fixture_questions import add_questions, elicitation
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp_types import EmptyResult, InputRequiredResult, SetLevelRequestParams

from argosy_core.serving.completion import matching
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import DoctorFinding
from argosy_core.serving.server import ArgosyServer
from argosy_core.serving.toolbox import ToolBox
from argosy_core.types import Caller

NAME = "fixture"
_WORDS = ("parcel", "parrot", "harbour")


class Nothing:
    """The domain of a server that keeps nothing."""

    async def counts(self, agent: str | None) -> dict[str, int]:
        return {}

    async def doctor(self, agent: str | None) -> list[DoctorFinding]:
        return []

    def uris_of(self, path: str) -> list[str]:
        return []


def create(config: ServerConfig) -> ArgosyServer:
    """The fixture server for *config*."""
    box = ToolBox()
    add_answers(box)
    add_questions(box)
    server = ArgosyServer(
        NAME, config, Nothing(), box, title="Fixture", instructions="Answers what the conformance suite asks."
    )
    add_strict_schema(server)
    _add_resources(server)
    _add_prompts(server)
    _take_log_levels(server)
    return server


def _add_resources(server: ArgosyServer) -> None:
    @server.resource("test://static-text", name="text", description="A text", mime_type="text/plain")
    async def text() -> str:
        return "A text that is always the same."

    @server.resource("test://static-binary", name="binary", description="A picture", mime_type="image/png")
    async def binary() -> bytes:
        return IMAGE

    @server.resource("test://watched-resource", name="watched", description="A text", mime_type="text/plain")
    async def watched() -> str:
        return "A text that somebody may watch."

    @server.resource("test://template/{id}/data", name="data", description="By id", mime_type="application/json")
    async def data(id: str) -> str:
        return json.dumps({"id": id, "length": len(id)})


def _add_prompts(server: ArgosyServer) -> None:
    @server.prompt(name="test_simple_prompt", description="Without arguments")
    async def simple() -> str:
        return "Say something short."

    @server.prompt(name="test_prompt_with_arguments", description="With two arguments")
    async def with_arguments(arg1: str, arg2: str) -> str:
        return f"Compare {arg1} with {arg2}."

    @server.prompt(name="test_prompt_with_embedded_resource", description="With a resource in it")
    async def with_resource(resourceUri: str) -> list[UserMessage]:
        block = text_resource(resourceUri, "text/plain", "A resource inside a prompt.")
        return [UserMessage(content=block), UserMessage(content="What does it say?")]

    @server.prompt(name="test_prompt_with_image", description="With a picture in it")
    async def with_image() -> list[UserMessage]:
        return [UserMessage(content=image_block()), UserMessage(content="What does it show?")]

    @server.prompt(name="test_input_required_result_prompt", description="Asks before it answers")
    async def asking(ctx: Context[Any, Any]) -> list[UserMessage] | InputRequiredResult:
        given = (ctx.input_responses or {}).get("context")
        if given is None:
            return InputRequiredResult(input_requests={"context": elicitation("What is it about?", "context")})
        return [UserMessage(content=text_block(f"It is about this: {given.model_dump_json()}"))]

    async def offer(caller: Caller, typed: str) -> list[str]:
        return matching(_WORDS, typed)

    server.completions.add("test_prompt_with_arguments", "arg1", offer)


def _take_log_levels(server: ArgosyServer) -> None:
    # The base has no such capability: the protocol gave it up. Who wants it has to go where the SDK keeps handlers.
    async def set_level(ctx: ServerRequestContext[Any, Any], params: SetLevelRequestParams) -> EmptyResult:
        return EmptyResult()

    server._lowlevel_server.add_request_handler("logging/setLevel", SetLevelRequestParams, set_level)
