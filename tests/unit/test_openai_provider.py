"""The provider for chat completions against the real SDK, which talks to a scripted server."""

from __future__ import annotations

import sys
import traceback
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
import pytest
from chat_api import chat, chunk, stream
from messages_api import Api, Failure, Raw, Silence, Step, messages_api

from argosy_core.errors import ArgosyError, DeadlineExceeded, InvalidArgument, Unauthenticated, Unavailable
from argosy_host.providers.base import Message, Model, ModelRequest, Segment, ToolCall, ToolReturn, ToolSpec, Usage
from argosy_host.providers.openai import OpenAIModel, preload
from argosy_host.providers.openai_wire import encode

pytestmark = pytest.mark.anyio

KEY = "sk-test-0123456789"
MODEL = "llama-9"
SEARCH = ToolSpec("memory_search", "Search the notes", {"type": "object", "properties": {}}, read_only=True)


def ask(*messages: Message, **fields: Any) -> ModelRequest:
    turns = messages or (Message("user", "Good morning"),)
    given: dict[str, Any] = {"system": (), "tools": (), "model": MODEL, "messages": turns}
    return ModelRequest(**{**given, **fields})


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    preload()


@asynccontextmanager
async def listening(*script: Step) -> AsyncGenerator[Api, None]:
    server = messages_api(script)
    api = await anyio.to_thread.run_sync(server.__enter__)
    try:
        yield api
    finally:
        await anyio.to_thread.run_sync(server.__exit__, None, None, None)


@asynccontextmanager
async def serving(*script: Step, **options: Any) -> AsyncGenerator[tuple[OpenAIModel, Api], None]:
    given: dict[str, Any] = {"max_retries": 2, "timeout_seconds": 20.0, **options}
    async with listening(*script) as api:
        model = OpenAIModel(api_key=KEY, base_url=f"{api.url}/v1", **given)
        try:
            yield model, api
        finally:
            await model.close()


async def failing(*script: Step, **options: Any) -> tuple[ArgosyError, Api]:
    async with serving(*script, **options) as (model, api):
        with pytest.raises(ArgosyError) as caught:
            await model.complete(ask())
    return caught.value, api


async def test_text_streams_and_the_reply_holds_all_of_it() -> None:
    pieces: list[str] = []
    async with serving(chat("Good morning, Sam.")) as (model, api):
        typed: Model = model
        reply = await typed.complete(ask(), pieces.append)
    assert "".join(pieces) == reply.text == "Good morning, Sam."
    assert len(pieces) > 1
    assert (reply.stop, reply.model, reply.request_id) == ("end_turn", "local-1", "req_raw")
    assert reply.usage == Usage(input_tokens=12, output_tokens=6, cache_read=8)
    assert api.requests[0].key == KEY


async def test_a_whole_conversation_looks_as_the_api_wants_it() -> None:
    messages = (
        Message("user", "Where?"),
        Message("assistant", "Let me look.", (ToolCall("c1", "memory_search", {"query": "keys"}),)),
        Message("user", "Hurry.", returns=(ToolReturn("c1", "memory_search", "under the mat"),)),
        Message("user", "", returns=(ToolReturn("c2", "memory_search", " "),)),
        Message("assistant", "", native={"provider": "anthropic"}),
    )
    system = (Segment("soul", "Be kind", cache=True), Segment("empty", " "), Segment("tools", "Be brief"))
    async with serving(chat("Yes.")) as (model, api):
        await model.complete(ask(*messages, system=system, tools=(SEARCH,), today="2026-11-20", temperature=0.0))
    body = api.requests[0].body
    assert body["messages"] == [
        {"role": "system", "content": "Be kind\n\nBe brief\n\nToday is 2026-11-20."},
        {"role": "user", "content": "Where?"},
        {
            "role": "assistant",
            "content": "Let me look.",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "memory_search", "arguments": '{"query": "keys"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "under the mat"},
        {"role": "user", "content": "Hurry."},
        {"role": "tool", "tool_call_id": "c2", "content": "(nothing)"},
    ]
    assert body["tools"][0]["function"]["name"] == "memory_search"
    assert (body["stream"], body["max_tokens"], body["temperature"]) == (True, 4000, 0.0)


async def test_calls_come_whole_out_of_their_pieces_and_in_their_order() -> None:
    script = chat("Looking.", ("memory_search", {"query": "the keys"}), ("goal_list", {}))
    async with serving(script) as (model, _):
        reply = await model.complete(ask(tools=(SEARCH,)))
    assert reply.stop == "tool_use"
    assert reply.calls == (
        ToolCall("call_0", "memory_search", {"query": "the keys"}),
        ToolCall("call_1", "goal_list", {}),
    )


async def test_a_server_that_says_stop_behind_a_call_and_gives_neither_id_nor_usage_is_understood() -> None:
    part = {"index": 0, "function": {"name": "goal_list", "arguments": ""}}
    script = stream([chunk("m", {"tool_calls": [part]}), chunk("m", {}, "stop")])
    async with serving(script) as (model, _):
        reply = await model.complete(ask(tools=(SEARCH,)))
    assert (reply.stop, reply.calls) == ("tool_use", (ToolCall("call_1", "goal_list", {}),))
    assert reply.extra == {"usage_estimated": True}
    assert reply.usage.input_tokens > len("Good morning") // 2


async def test_half_a_call_is_never_run() -> None:
    async with serving(chat("", ("memory_write", '{"title": "a'), stop="length")) as (model, _):
        reply = await model.complete(ask())
    assert (reply.calls, reply.stop, reply.extra) == ((), "max_tokens", {"incomplete_calls": ["memory_write"]})


@pytest.mark.parametrize("wrong", ['{"title": ', "[1]"])
async def test_arguments_that_are_no_object_make_the_reply_unusable(wrong: str) -> None:
    error, _ = await failing(chat("", ("memory_write", wrong)))
    assert isinstance(error, Unavailable)


async def test_a_refusal_is_one() -> None:
    script = stream([chunk("m", {"refusal": "I will not."}), chunk("m", {}, "stop")])
    async with serving(script) as (model, _):
        reply = await model.complete(ask())
    assert (reply.stop, reply.text) == ("refusal", "I will not.")


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_names_the_variable_and_never_the_key(status: int) -> None:
    error, api = await failing(Failure(status, "invalid_api_key", f"the key {KEY} is revoked"))
    assert isinstance(error, Unauthenticated)
    assert "OPENAI_API_KEY" in str(error)
    assert KEY not in "".join(traceback.format_exception(error)) + repr(error.detail)
    assert len(api.requests) == 1


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_a_refused_request_is_an_invalid_argument_in_the_servers_words(status: int) -> None:
    error, _ = await failing(Failure(status, "invalid_request_error", f"no model\n for {KEY}"))
    assert isinstance(error, InvalidArgument)
    assert "no model for [key]" in error.message
    assert error.detail == {"status": status, "request_id": "req_failed"}


async def test_a_busy_server_is_tried_as_often_as_allowed() -> None:
    error, api = await failing(*[Failure(503, headers={"retry-after-ms": "1"})] * 3)
    assert isinstance(error, Unavailable)
    assert error.detail["status"] == 503
    assert len(api.requests) == 3


@pytest.mark.parametrize("sent", [0, 1, 3, 5])
@pytest.mark.parametrize("cut", [True, False])
async def test_a_reply_that_ends_before_it_says_so_is_cut_wherever_it_ends(sent: int, cut: bool) -> None:
    error, api = await failing(chat("Good morning, Sam.", sent=sent, cut=cut))
    assert isinstance(error, Unavailable)
    assert "cut off" in error.message
    assert len(api.requests) == 1


async def test_what_the_connection_does_after_the_end_loses_nothing() -> None:
    async with serving(chat("Good", sent=3, cut=True)) as (model, _):
        assert (await model.complete(ask())).text == "Good"


@pytest.mark.parametrize(
    ("code", "expected"), [("invalid_api_key", Unauthenticated), ("server_error", Unavailable), ("new", Unavailable)]
)
async def test_an_error_inside_a_stream_is_told_by_its_type(code: str, expected: type) -> None:
    start = stream([chunk("m", {"content": "Good"})], done=False).body
    error, _ = await failing(Raw(f'{start}data: {{"error": {{"message": "x", "type": "{code}"}}}}\n\n'))
    assert isinstance(error, expected)
    assert error.detail["received_characters"] == 4


@pytest.mark.parametrize("body", ["", "<html>no</html>", "data: no\n\n", 'data: {"choices": 5}\n\n', "data: 7\n\n"])
async def test_a_malformed_stream_is_unavailable(body: str) -> None:
    error, _ = await failing(Raw(body))
    assert isinstance(error, Unavailable)


async def test_a_server_that_does_not_answer_ends_in_a_deadline() -> None:
    error, _ = await failing(Silence(), timeout_seconds=0.2, max_retries=0)
    assert isinstance(error, DeadlineExceeded)


async def test_key_and_address_come_from_the_environment_and_ones_own_server_needs_no_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening(chat("Yes."), chat("Yes.")) as api:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{api.url}/v1")
        for key in ("", f" {KEY}\n"):
            monkeypatch.setenv("OPENAI_API_KEY", key)
            model = OpenAIModel()
            await model.complete(ask())
            await model.close()
            await model.close()
            with pytest.raises(Unavailable, match="closed"):
                await model.complete(ask())
    assert [request.key for request in api.requests] == ["none", KEY]


def test_openai_itself_wants_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("", "schlüssel"):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        with pytest.raises(Unauthenticated, match="OPENAI_API_KEY"):
            OpenAIModel()


def test_without_the_sdk_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(Unavailable, match=r"pip install 'argosy\[openai\]'"):
        OpenAIModel(api_key=KEY)


def test_openai_itself_is_told_the_limit_by_its_new_name_and_no_temperature() -> None:
    body = encode(ask(temperature=0.0), own=True)
    assert body["max_completion_tokens"] == 4000
    assert not {"max_tokens", "temperature", "tools"} & body.keys()
