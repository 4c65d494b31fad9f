"""Tools that ask their client something first: by the SDK's dependencies, or in rounds of their own making."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fixture_content import said
from mcp.server.mcpserver import Context, Elicit, ElicitationResult, Resolve, Sample
from mcp_types import (
    CallToolResult,
    ClientCapabilities,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequests,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
)
from pydantic import BaseModel, Field

from argosy_core.serving.toolbox import ToolBox

MAX_TOKENS = 100
_Ctx = Context[Any, Any]


class Person(BaseModel):
    username: str = Field(description="What to call them")
    email: str = Field(description="Where to write to them")


class Defaults(BaseModel):
    """A form each field of which has a value already."""

    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: Literal["active", "inactive", "pending"] = "active"
    verified: bool = True


def _titled(*names: str) -> list[Any]:
    return [{"const": name, "title": name.capitalize()} for name in names]


class Choices(BaseModel):
    """A form with every way there is to choose: one or several, with titles or without, and the way of before."""

    untitledSingle: Literal["tide", "wind", "rain"]
    titledSingle: str = Field(json_schema_extra={"oneOf": _titled("tide", "wind", "rain")})
    legacyEnum: Literal["tide", "wind", "rain"] = Field(json_schema_extra={"enumNames": ["Tide", "Wind", "Rain"]})
    untitledMulti: list[str] = Field(json_schema_extra={"items": {"type": "string", "enum": ["tide", "wind", "rain"]}})
    titledMulti: list[str] = Field(json_schema_extra={"items": {"anyOf": _titled("tide", "wind", "rain")}})


def add_questions(box: ToolBox) -> None:
    """Declare them in *box*."""
    _add_resolved(box)
    _add_single_rounds(box)
    _add_several_rounds(box)


# By dependencies: the SDK asks in the manner of the client's era.


async def _complete(prompt: str) -> Sample:
    return Sample([_message(prompt)], max_tokens=MAX_TOKENS)


async def _complete_anything() -> Sample:
    return Sample([_message("Say anything.")], max_tokens=MAX_TOKENS)


async def _ask_person(message: str) -> Elicit[Person]:
    return Elicit(message, Person)


async def _ask_anybody() -> Elicit[Person]:
    return Elicit("Who is there?", Person)


async def _ask_defaults() -> Elicit[Defaults]:
    return Elicit("Is that right?", Defaults)


async def _ask_choices() -> Elicit[Choices]:
    return Elicit("What will it be?", Choices)


def _add_resolved(box: ToolBox) -> None:
    @box.tool("Complete", default=True)
    async def test_sampling(prompt: str, answer: Annotated[CreateMessageResult, Resolve(_complete)]) -> CallToolResult:
        """Let the client's model answer."""
        return said(f"The model says: {answer.content}")

    @box.tool("Complete or refuse", default=True)
    async def test_missing_capability(
        answer: Annotated[CreateMessageResult, Resolve(_complete_anything)],
    ) -> CallToolResult:
        """Need a model of the client's, which not every client has."""
        return said(f"The model says: {answer.content}")

    @box.tool("Ask a person", default=True)
    async def test_elicitation(
        message: str, answer: Annotated[ElicitationResult[Person], Resolve(_ask_person)]
    ) -> CallToolResult:
        """Ask who is there."""
        return said(answer.model_dump_json())

    @box.tool("Ask while answering", default=True)
    async def test_streaming_elicitation(
        answer: Annotated[ElicitationResult[Person], Resolve(_ask_anybody)],
    ) -> CallToolResult:
        """Ask who is there, without a message of the caller's."""
        return said(answer.model_dump_json())

    @box.tool("Ask with defaults", default=True)
    async def test_elicitation_sep1034_defaults(
        answer: Annotated[ElicitationResult[Defaults], Resolve(_ask_defaults)],
    ) -> CallToolResult:
        """Ask with a form that is filled in already."""
        return said(answer.model_dump_json())

    @box.tool("Ask for choices", default=True)
    async def test_elicitation_sep1330_enums(
        answer: Annotated[ElicitationResult[Choices], Resolve(_ask_choices)],
    ) -> CallToolResult:
        """Ask for choices of every kind."""
        return said(answer.model_dump_json())


# In rounds: what is asked, and what is to be sent back with the answers, stands in a result (2026-07-28).


def elicitation(message: str, name: str, kind: str = "string") -> ElicitRequest:
    """A form of one field, which must be filled in."""
    schema: dict[str, Any] = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _message(text: str) -> SamplingMessage:
    return SamplingMessage(role="user", content=TextContent(type="text", text=text))


def _sampling(text: str) -> CreateMessageRequest:
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[_message(text)], max_tokens=MAX_TOKENS))


def _ask_until_answered(
    ctx: _Ctx, wanted: InputRequests, state: str | None = None
) -> CallToolResult | InputRequiredResult:
    """Ask for *wanted*, and once all of it is there say what it was; *state* must come back as it was given."""
    given = ctx.input_responses or {}
    if not wanted.keys() <= given.keys() or ctx.request_state != state:
        return InputRequiredResult(input_requests=wanted, request_state=state)
    return said("; ".join(f"{key}: {given[key].model_dump_json(exclude_none=True)}" for key in wanted))


def _add_single_rounds(box: ToolBox) -> None:
    @box.tool("Ask a name", default=True)
    async def test_input_required_result_elicitation(ctx: _Ctx) -> CallToolResult | InputRequiredResult:
        """Ask for a name."""
        return _ask_until_answered(ctx, {"user_name": elicitation("Who are you?", "name")})

    @box.tool("Ask a model", default=True)
    async def test_input_required_result_sampling(ctx: _Ctx) -> CallToolResult | InputRequiredResult:
        """Ask the client's model."""
        return _ask_until_answered(ctx, {"capital": _sampling("Which city is the capital of Portugal?")})

    @box.tool("Ask for roots", default=True)
    async def test_input_required_result_list_roots(ctx: _Ctx) -> CallToolResult | InputRequiredResult:
        """Ask for the client's roots."""
        return _ask_until_answered(ctx, {"roots": ListRootsRequest()})

    @box.tool("Ask several things", default=True)
    async def test_input_required_result_multiple_inputs(ctx: _Ctx) -> CallToolResult | InputRequiredResult:
        """Ask for a name, a greeting and the client's roots at once."""
        wanted: InputRequests = {
            "name": elicitation("Who are you?", "name"),
            "greeting": _sampling("Greet somebody."),
            "roots": ListRootsRequest(),
        }
        return _ask_until_answered(ctx, wanted, "three things")

    @box.tool("Ask what the client can", default=True)
    async def test_input_required_result_capabilities(ctx: _Ctx) -> CallToolResult | InputRequiredResult:
        """Ask for what the client says it can do, and for nothing else."""
        can = ctx.client_capabilities or ClientCapabilities()
        wanted: InputRequests = {}
        if can.sampling is not None:
            wanted["greeting"] = _sampling("Greet somebody.")
        if can.elicitation is not None:
            wanted["name"] = elicitation("Who are you?", "name")
        return _ask_until_answered(ctx, wanted) if wanted else said("this client can be asked nothing")


def _add_several_rounds(box: ToolBox) -> None:
    @box.tool("Keep a state", default=True)
    async def test_input_required_result_request_state(ctx: _Ctx) -> CallToolResult | InputRequiredResult:
        """Ask for a confirmation, and know the question again."""
        return _ask_until_answered(ctx, {"confirm": elicitation("Is it so?", "ok", "boolean")}, "asked once")

    @box.tool("Refuse a forged state", default=True)
    async def test_input_required_result_tampered_state(ctx: _Ctx) -> CallToolResult | InputRequiredResult:
        """Ask for a confirmation with a state that nobody may change."""
        return _ask_until_answered(ctx, {"confirm": elicitation("Is it so?", "ok", "boolean")}, "sealed")

    @box.tool("Ask twice", default=True)
    async def test_input_required_result_multi_round(ctx: _Ctx) -> CallToolResult | InputRequiredResult:
        """Ask for a name, then for a colour."""
        answered = ctx.input_responses or {}
        colour: InputRequests = {"colour": elicitation("And which colour do you like?", "color")}
        if (ctx.request_state == "first" and "name" in answered) or ctx.request_state == "second":
            return _ask_until_answered(ctx, colour, "second")
        return InputRequiredResult(input_requests={"name": elicitation("Who are you?", "name")}, request_state="first")
