"""The provider against the real SDK, which talks to a scripted Messages API."""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from messages_api import (
    MALFORMED,
    Api,
    Block,
    Failure,
    Raw,
    Reply,
    Silence,
    Step,
    messages_api,
    text,
    thinking,
    tool_use,
)

from argosy_core.errors import ArgosyError, DeadlineExceeded, InvalidArgument, Unauthenticated, Unavailable
from argosy_host.providers.anthropic import AnthropicModel, preload
from argosy_host.providers.base import (
    Message,
    Model,
    ModelReply,
    ModelRequest,
    Segment,
    ToolCall,
    ToolReturn,
    ToolSpec,
    Usage,
)

pytestmark = pytest.mark.anyio

KEY = "sk-ant-test-0123456789"
MODEL = "claude-sonnet-5-5"
SEARCH = ToolSpec("memory_search", "Search the notes", {"type": "object", "properties": {}}, read_only=True)
WRITE = ToolSpec("memory_write", "Write a note", {"type": "object"}, read_only=False)
AT_ONCE = {"retry-after-ms": "1"}


def ask(*messages: Message, **fields: Any) -> ModelRequest:
    turns = messages or (Message("user", "Good morning"),)
    given: dict[str, Any] = {"system": (), "tools": (), "model": MODEL, "messages": turns}
    return ModelRequest(**{**given, **fields})


def answer(reply: ModelReply) -> Message:
    return Message("assistant", reply.text, reply.calls, native=reply.native)


@pytest.fixture(autouse=True, scope="module")
def loaded_sdk() -> None:
    preload()


@asynccontextmanager
async def listening(*script: Step) -> AsyncGenerator[Api, None]:
    """The scripted API, started and stopped in a thread because both wait."""
    server = messages_api(script)
    api = await anyio.to_thread.run_sync(server.__enter__)
    try:
        yield api
    finally:
        await anyio.to_thread.run_sync(server.__exit__, None, None, None)


@asynccontextmanager
async def serving(*script: Step, **options: Any) -> AsyncGenerator[tuple[AnthropicModel, Api], None]:
    given: dict[str, Any] = {"max_retries": 2, "timeout_seconds": 20.0, **options}
    async with listening(*script) as api:
        model = AnthropicModel(api_key=KEY, base_url=api.url, **given)
        try:
            yield model, api
        finally:
            await model.close()


async def bodies(*requests: ModelRequest) -> list[dict[str, Any]]:
    """What is sent for each of *requests*."""
    async with serving(*(Reply(text("Yes.")) for _ in requests)) as (model, api):
        for request in requests:
            await model.complete(request)
    return [request.body for request in api.requests]


async def failing(request: ModelRequest, *script: Step, **options: Any) -> tuple[ArgosyError, Api]:
    """The error that *request* ends in."""
    async with serving(*script, **options) as (model, api):
        with pytest.raises(ArgosyError) as caught:
            await model.complete(request)
    return caught.value, api


def marked(blocks: list[Block]) -> list[int]:
    return [index for index, block in enumerate(blocks) if block.get("cache_control") == {"type": "ephemeral"}]


def events(*steps: tuple[str, dict[str, Any]]) -> str:
    return "".join(f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n" for name, data in steps)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds the SDK waited between tries; none of them really passes."""
    seconds: list[float] = []

    async def note(delay: float) -> None:
        seconds.append(delay)
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(anyio, "sleep", note)
    return seconds


# ---- a reply


async def test_text_streams_piece_by_piece_and_the_reply_holds_all_of_it() -> None:
    pieces: list[str] = []
    async with serving(Reply(text("Good morning, Sam."), request_id="req_7")) as (model, _):
        reply = await model.complete(ask(), pieces.append)
    assert len(pieces) > 1
    assert "".join(pieces) == reply.text == "Good morning, Sam."
    assert (reply.stop, reply.calls, reply.model, reply.request_id) == ("end_turn", (), MODEL, "req_7")


async def test_the_request_carries_the_bearer_key_the_model_and_the_limit() -> None:
    async with serving(Reply(text("Yes."))) as (model, api):
        await model.complete(ask(max_output_tokens=77))
    sent = api.requests[0]
    assert sent.key == KEY
    assert sent.body == {
        "model": MODEL,
        "max_tokens": 77,
        "stream": True,
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "Good morning", "cache_control": {"type": "ephemeral"}}],
            }
        ],
    }


async def test_usage_counts_cached_tokens_apart() -> None:
    usage = {
        "input_tokens": 12,
        "output_tokens": 34,
        "cache_read_input_tokens": 56,
        "cache_creation_input_tokens": 78,
    }
    async with serving(Reply(text("Yes."), usage=usage)) as (model, _):
        reply = await model.complete(ask())
    assert reply.usage == Usage(input_tokens=12, output_tokens=34, cache_read=56, cache_write=78)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("end_turn", "end_turn"),
        ("stop_sequence", "end_turn"),
        ("max_tokens", "max_tokens"),
        ("model_context_window_exceeded", "max_tokens"),
        ("refusal", "refusal"),
        ("pause_turn", "pause_turn"),
    ],
)
async def test_every_stop_reason_has_its_word(said: str, meant: str) -> None:
    async with serving(Reply(text("Well,"), stop=said)) as (model, _):
        assert (await model.complete(ask())).stop == meant


async def test_a_stop_reason_nobody_knows_is_not_taken_for_the_end() -> None:
    error, _ = await failing(ask(), Reply(text("Well,"), stop="bored"))
    assert isinstance(error, Unavailable)


async def test_a_refusal_is_a_reply_and_says_why() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "no"}
    async with serving(Reply(stop="refusal", stop_details=details)) as (model, _):
        reply = await model.complete(ask())
    assert (reply.text, reply.stop, reply.calls) == ("", "refusal", ())
    assert reply.extra["stop_details"]["category"] == "cyber"


async def test_an_event_nobody_knows_is_passed_over() -> None:
    body = events(
        ("message_start", {"message": {"model": MODEL, "content": [], "usage": {"input_tokens": 1}}}),
        ("weather_report", {"sky": "grey"}),
        ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": "Begun"}}),
        ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": " and done"}}),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}),
        ("message_stop", {}),
    )
    pieces: list[str] = []
    async with serving(Raw(body)) as (model, _):
        reply = await model.complete(ask(), pieces.append)
    assert reply.text == "Begun and done" == "".join(pieces)


async def test_what_the_sink_raises_comes_out_as_it_is_and_the_model_still_works() -> None:
    def full(_: str) -> None:
        raise OSError("the terminal is gone")

    async with serving(Reply(text("Good morning")), Reply(text("Yes."))) as (model, _):
        with pytest.raises(OSError, match="the terminal is gone"):
            await model.complete(ask(), full)
        assert (await model.complete(ask())).text == "Yes."


async def test_a_cancelled_turn_stops_at_once_and_the_model_still_works() -> None:
    async with serving(Reply(text("Good morning"), after=4, then="hang"), Reply(text("Yes."))) as (model, _):
        with anyio.CancelScope() as scope:
            await model.complete(ask(), lambda _: scope.cancel())
        assert scope.cancelled_caught
        assert (await model.complete(ask())).text == "Yes."


# ---- tools


async def test_a_call_arrives_whole_with_parsed_arguments() -> None:
    blocks = (text("Let me look."), tool_use("memory_search", {"query": "Zürich", "limit": 3}, id="toolu_9"))
    async with serving(Reply(*blocks)) as (model, api):
        reply = await model.complete(ask(tools=(SEARCH, WRITE)))
    assert reply.stop == "tool_use"
    assert reply.text == "Let me look."
    assert reply.calls == (ToolCall("toolu_9", "memory_search", {"query": "Zürich", "limit": 3}),)
    assert [tool["name"] for tool in api.requests[0].body["tools"]] == ["memory_search", "memory_write"]
    assert api.requests[0].body["tools"][0] == {
        "name": "memory_search",
        "description": "Search the notes",
        "input_schema": {"type": "object", "properties": {}},
    }


async def test_a_call_without_arguments_has_an_empty_object() -> None:
    async with serving(Reply(tool_use("agent_list", {}))) as (model, _):
        assert (await model.complete(ask())).calls == (ToolCall("toolu_1", "agent_list", {}),)


async def test_all_returns_of_a_turn_go_in_one_user_message_and_errors_are_marked() -> None:
    calls = (tool_use("memory_search", {"query": "a"}, "toolu_a"), tool_use("memory_write", {"title": "b"}, "toolu_b"))
    returns = (
        ToolReturn("toolu_a", "memory_search", "2 hits"),
        ToolReturn("toolu_b", "memory_write", "the name is taken", is_error=True),
        ToolReturn("toolu_c", "memory_touch", ""),
    )
    async with serving(Reply(*calls), Reply(text("Done."))) as (model, api):
        question = Message("user", "Look and write")
        reply = await model.complete(ask(question))
        last = await model.complete(ask(question, answer(reply), Message("user", returns=returns)))
    assert last.text == "Done."
    sent = api.requests[1].body["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert sent[1]["content"] == list(calls)
    assert sent[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "toolu_a", "content": "2 hits"},
        {"type": "tool_result", "tool_use_id": "toolu_b", "content": "the name is taken", "is_error": True},
        {"type": "tool_result", "tool_use_id": "toolu_c", "cache_control": {"type": "ephemeral"}},
    ]


async def test_returns_given_as_several_messages_are_still_sent_as_one_ahead_of_the_text() -> None:
    (body,) = await bodies(
        ask(
            Message("assistant", calls=(ToolCall("a", "x", {}), ToolCall("b", "y", {}))),
            Message("user", "Be quick", returns=(ToolReturn("a", "x", "1"),)),
            Message("user", returns=(ToolReturn("b", "y", "2"),)),
        )
    )
    assert [block["type"] for block in body["messages"][1]["content"]] == ["tool_result", "tool_result", "text"]


async def test_another_providers_turn_is_sent_as_text_and_calls() -> None:
    turn = Message(
        "assistant", "Looking.", (ToolCall("c1", "memory_search", {"query": "q"}),), native={"provider": "x"}
    )
    (body,) = await bodies(ask(Message("user", "Hi"), turn, Message("user", returns=(ToolReturn("c1", "m", "none"),))))
    assert body["messages"][1]["content"] == [
        {"type": "text", "text": "Looking."},
        {"type": "tool_use", "id": "c1", "name": "memory_search", "input": {"query": "q"}},
    ]


@pytest.mark.parametrize("half", ['{"title": "Sam likes te', ""])
async def test_a_call_cut_by_the_token_limit_is_dropped_and_named(half: str) -> None:
    whole, cut = tool_use("memory_search", {"query": "a"}, "toolu_a"), tool_use("memory_write", half, "toolu_b")
    async with serving(Reply(whole, cut, stop="max_tokens")) as (model, _):
        reply = await model.complete(ask())
    assert reply.stop == "max_tokens"
    assert [call.id for call in reply.calls] == ["toolu_a"]
    assert [block["id"] for block in reply.native["content"]] == ["toolu_a"]
    assert reply.extra["incomplete_calls"] == ["memory_write"]


@pytest.mark.parametrize("wrong", ['{"title": "Sam', "[1, 2]"])
async def test_arguments_that_are_no_object_make_the_reply_unusable(wrong: str) -> None:
    error, _ = await failing(ask(), Reply(tool_use("memory_write", wrong)))
    assert isinstance(error, Unavailable)


# ---- what goes back unchanged


SIGNED = thinking("Where did I put it?", signature="c2lnbmF0dXJl")
HIDDEN: Block = {"type": "redacted_thinking", "data": "b3BhcXVl"}
CALL = tool_use("memory_search", {"query": "keys"})
FOUND = Message("user", returns=(ToolReturn("toolu_1", "memory_search", "under the mat"),))


async def second_turn(
    change: Callable[[ModelRequest, Message], ModelRequest], *content: Block
) -> tuple[list[Block], dict[str, Any]]:
    """The assistant's blocks as they are sent back by the request that *change* makes, and that whole body."""
    first = ask(Message("user", "Where?"), system=(Segment("soul", "Be kind"),), tools=(SEARCH,))
    async with serving(Reply(*content), Reply(text("Under the mat."))) as (model, api):
        turn = answer(await model.complete(first))
        kept = json.loads(json.dumps(turn.native))
        await model.complete(change(first, Message("assistant", turn.text, turn.calls, native=kept)))
    body = api.requests[1].body
    return next(message["content"] for message in body["messages"] if message["role"] == "assistant"), body


def continued(first: ModelRequest, turn: Message, **fields: Any) -> ModelRequest:
    same = {"system": first.system, "tools": first.tools, "model": first.model}
    return ask(*first.messages, turn, FOUND, **{**same, **fields})


async def test_thinking_blocks_go_back_unchanged_even_after_a_trip_through_json() -> None:
    sent, _ = await second_turn(continued, SIGNED, HIDDEN, text("Let me look."), CALL)
    assert sent == [SIGNED, HIDDEN, text("Let me look."), CALL]


async def test_a_kind_of_block_nobody_knows_goes_back_unchanged() -> None:
    novel: Block = {"type": "advisor_note", "note": {"level": 2, "of": ["a", "b"]}}
    sent, _ = await second_turn(continued, novel, CALL)
    assert sent == [novel, CALL]


@pytest.mark.parametrize(
    "changed",
    [
        {"system": (Segment("soul", "Be brief"),)},
        {"tools": (SEARCH, WRITE)},
        {"model": "claude-opus-5-5"},
    ],
)
async def test_thinking_is_left_out_when_what_came_before_it_has_changed(changed: dict[str, Any]) -> None:
    sent, _ = await second_turn(lambda first, turn: continued(first, turn, **changed), SIGNED, HIDDEN, CALL)
    assert sent == [CALL]


async def test_thinking_is_left_out_when_an_earlier_turn_has_changed() -> None:
    def edited(first: ModelRequest, turn: Message) -> ModelRequest:
        return ask(Message("user", "When?"), turn, FOUND, system=first.system, tools=first.tools)

    sent, _ = await second_turn(edited, SIGNED, CALL)
    assert sent == [CALL]


async def test_a_breakpoint_that_moves_does_not_count_as_a_change() -> None:
    def recached(first: ModelRequest, turn: Message) -> ModelRequest:
        return continued(first, turn, system=(Segment("soul", "Be kind", cache=True),))

    sent, _ = await second_turn(recached, SIGNED, CALL)
    assert sent == [SIGNED, CALL]


async def test_empty_text_is_never_sent() -> None:
    empty_turn = {"provider": "anthropic", "prefix": "", "content": [text(" \n"), CALL]}
    (body,) = await bodies(
        ask(
            Message("user", ""),
            Message("user", "Hello"),
            Message("assistant", "", native=None),
            Message("assistant", "  ", native=empty_turn),
            Message("user", "\n", returns=(ToolReturn("toolu_1", "memory_search", "   "),)),
            system=(Segment("soul", ""), Segment("user", " \n"), Segment("tools", "Be kind")),
        )
    )
    assert [block["text"] for block in body["system"]] == ["Be kind"]
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][1]["content"] == [CALL]
    assert not [
        block for message in body["messages"] for block in message["content"] if not block.get("text", "x").strip()
    ]
    assert "content" not in body["messages"][2]["content"][0]


# ---- the cache


async def test_each_segment_is_a_block_in_order_and_the_cached_ones_are_marked() -> None:
    segments = (Segment("a", "A", cache=True), Segment("b", "B"), Segment("c", "C", cache=True), Segment("d", "D"))
    (body,) = await bodies(ask(system=segments))
    assert [block["text"] for block in body["system"]] == ["A", "B", "C", "D"]
    assert marked(body["system"]) == [0, 2]


async def test_there_are_never_more_than_four_breakpoints_and_the_last_are_kept() -> None:
    segments = tuple(Segment(str(n), f"Part {n}", cache=True) for n in range(7))
    history = [Message("user", "1"), Message("assistant", "2"), Message("user", "3"), Message("assistant", "4")]
    (body,) = await bodies(ask(*history, Message("user", "5"), system=segments, tools=(SEARCH, WRITE)))
    assert marked(body["system"]) == [4, 5, 6]
    assert [marked(message["content"]) for message in body["messages"]] == [[], [], [], [], [0]]
    assert json.dumps(body).count("cache_control") == 4


async def test_the_breakpoint_of_an_empty_segment_ends_the_text_before_it() -> None:
    segments = (Segment("a", "A"), Segment("journal", "", cache=True), Segment("b", "B"))
    (body,) = await bodies(ask(system=segments))
    assert marked(body["system"]) == [0]


async def test_a_paused_turn_is_sent_again_with_its_breakpoint_on_the_last_user_message() -> None:
    async with serving(Reply(text("Let me"), stop="pause_turn"), Reply(text(" think."))) as (model, api):
        paused = await model.complete(ask())
        await model.complete(ask(Message("user", "Good morning"), answer(paused)))
    sent = api.requests[1].body["messages"]
    assert [marked(message["content"]) for message in sent] == [[0], []]


async def test_the_day_comes_last_so_that_a_new_one_keeps_the_cache() -> None:
    (body,) = await bodies(ask(system=(Segment("a", "A", cache=True),), today="2026-11-20"))
    assert [block["text"] for block in body["system"]] == ["A", "Today is 2026-11-20."]
    assert marked(body["system"]) == [0]


# ---- what goes wrong


async def test_a_429_is_tried_again_after_the_seconds_the_api_asked_for(waits: list[float]) -> None:
    async with serving(Failure(429, "rate_limit_error", headers={"retry-after": "7"}), Reply(text("Yes."))) as (
        model,
        api,
    ):
        assert (await model.complete(ask())).text == "Yes."
    assert waits == [7.0]
    assert len(api.requests) == 2


async def test_an_overloaded_api_is_tried_as_often_as_allowed_and_then_unavailable(waits: list[float]) -> None:
    script = [Failure(529, "overloaded_error", headers=AT_ONCE)] * 4
    error, api = await failing(ask(), *script, max_retries=2)
    assert isinstance(error, Unavailable)
    assert error.retryable
    assert error.detail == {"status": 529, "request_id": "req_failed"}
    assert waits == [0.001, 0.001]
    assert len(api.requests) == 3


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_names_the_variable_and_never_the_key(status: int) -> None:
    error, api = await failing(ask(), Failure(status, "authentication_error", f"the key {KEY} is revoked"))
    assert isinstance(error, Unauthenticated)
    assert "ANTHROPIC_API_KEY" in str(error)
    assert "\n" not in str(error)
    assert KEY not in "".join(traceback.format_exception(error)) + repr(error.detail)
    assert len(api.requests) == 1


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_a_refused_request_is_an_invalid_argument_in_the_providers_words(status: int) -> None:
    error, api = await failing(ask(), Failure(status, "invalid_request_error", f"max_tokens:\n too large for {KEY}"))
    assert isinstance(error, InvalidArgument)
    assert "max_tokens: too large for [key]" in error.message
    assert error.detail == {"status": status, "request_id": "req_failed"}
    assert len(api.requests) == 1


async def test_a_providers_essay_is_cut_to_a_sentence() -> None:
    error, _ = await failing(ask(), Failure(400, "invalid_request_error", "no " * 5000))
    assert len(error.message) < 400


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_server_error_is_unavailable(status: int) -> None:
    error, _ = await failing(ask(), Failure(status), max_retries=0)
    assert isinstance(error, Unavailable)
    assert error.detail["status"] == status


async def test_an_api_that_cannot_be_reached_is_unavailable() -> None:
    async with listening() as gone:
        pass
    model = AnthropicModel(api_key=KEY, base_url=gone.url, max_retries=0)
    with pytest.raises(Unavailable) as caught:
        await model.complete(ask())
    await model.close()
    assert caught.value.detail == {"status": None, "request_id": None}


@pytest.mark.parametrize("how", ["cut", "end"])
async def test_a_cut_stream_is_unavailable_and_not_a_short_answer(how: Any) -> None:
    pieces: list[str] = []
    async with serving(Reply(text("Good morning, Sam."), after=5, then=how, request_id="req_3")) as (model, api):
        with pytest.raises(Unavailable, match="cut off") as caught:
            await model.complete(ask(), pieces.append)
    assert "".join(pieces) == "Good morni"
    assert caught.value.detail == {"status": None, "request_id": "req_3", "received_characters": 10}
    assert len(api.requests) == 1


@pytest.mark.parametrize("how", ["cut", "end"])
async def test_a_stream_that_ends_before_it_says_so_is_cut_wherever_it_ends(how: Any) -> None:
    # start, ping, block start, 2 pieces, block stop, message delta; the eighth event is the one that says "done".
    for sent in range(8):
        error, _ = await failing(ask(), Reply(text("Good morni"), after=sent, then=how))
        assert isinstance(error, Unavailable)
        assert "cut off" in error.message


@pytest.mark.parametrize("how", ["cut", "hang", "error"])
async def test_what_the_connection_does_after_the_last_event_loses_nothing(how: Any) -> None:
    async with serving(Reply(text("Good morni"), after=8, then=how)) as (model, _):
        assert (await model.complete(ask())).text == "Good morni"


@pytest.mark.parametrize(
    ("kind", "expected", "status"),
    [
        ("overloaded_error", Unavailable, 529),
        ("api_error", Unavailable, 500),
        ("something_new", Unavailable, 500),
        ("invalid_request_error", InvalidArgument, 400),
        ("authentication_error", Unauthenticated, 401),
    ],
)
async def test_an_error_inside_a_stream_is_told_by_its_type(kind: str, expected: type, status: int) -> None:
    error, api = await failing(ask(), Reply(text("Good morning"), after=4, then="error", error=kind))
    assert isinstance(error, expected)
    assert error.detail == {"status": status, "request_id": "req_test", "received_characters": 5}
    assert len(api.requests) == 1


START: dict[str, Any] = {"message": {"model": MODEL, "content": [], "usage": {"input_tokens": 1}}}
DELTA: dict[str, Any] = {"index": 4, "delta": {"type": "text_delta", "text": "lost"}}


@pytest.mark.parametrize(
    "body",
    [
        MALFORMED.body,
        events(("message_start", {})),
        events(("message_stop", {})),
        events(("content_block_delta", DELTA)),
        events(("message_start", START), ("message_stop", {})),
        events(("message_start", START), ("content_block_delta", DELTA)),
        "event: message_stop\ndata: {}\n\n",
        "event: content_block_delta\ndata: [1]\n\n",
        "event: error\ndata: nonsense\n\n",
        "<html>not a stream</html>",
        "",
    ],
)
async def test_a_malformed_stream_is_unavailable(body: str) -> None:
    error, api = await failing(ask(), Raw(body))
    assert isinstance(error, Unavailable)
    assert len(api.requests) == 1


async def test_an_api_that_does_not_answer_ends_in_a_deadline() -> None:
    error, api = await failing(ask(), Silence(), timeout_seconds=0.2, max_retries=0)
    assert isinstance(error, DeadlineExceeded)
    assert len(api.requests) == 1


async def test_a_stream_that_falls_silent_ends_in_a_deadline() -> None:
    error, _ = await failing(
        ask(), Reply(text("Good morning"), after=4, then="hang"), timeout_seconds=0.5, max_retries=0
    )
    assert isinstance(error, DeadlineExceeded)
    assert error.detail["received_characters"] == 5


async def test_a_wait_the_api_asks_for_is_bounded_too() -> None:
    slow = Failure(429, "rate_limit_error", headers={"retry-after": "86400"})
    error, _ = await failing(ask(), slow, timeout_seconds=0.1, max_retries=1)
    assert isinstance(error, DeadlineExceeded)


# ---- the connection itself


async def test_closing_twice_is_closing_once_and_a_closed_model_says_so() -> None:
    async with serving() as (model, api):
        await model.close()
        await model.close()
        with pytest.raises(Unavailable, match="closed"):
            await model.complete(ask())
    assert api.requests == []


async def test_one_connection_serves_turn_after_turn() -> None:
    async with serving(*[Reply(text("Yes."))] * 3) as (model, api):
        for _ in range(3):
            await model.complete(ask())
        assert api.connections == 1


async def test_the_key_and_the_address_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(Reply(text("Yes."))) as api:
        monkeypatch.setenv("ANTHROPIC_API_KEY", f" {KEY}\n")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", api.url)
        model = AnthropicModel()
        await model.complete(ask())
        await model.close()
    assert api.requests[0].key == KEY


@pytest.mark.parametrize("key", ["", "  ", "schlüssel", "a\nb"])
def test_without_a_usable_key_there_is_no_model(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    with pytest.raises(Unauthenticated, match="ANTHROPIC_API_KEY") as caught:
        AnthropicModel()
    assert not key.strip() or key not in str(caught.value)


def test_without_the_sdk_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anthropic", None)
    for attempt in (preload, lambda: AnthropicModel(api_key=KEY)):
        with pytest.raises(Unavailable, match=r"pip install 'argosy\[anthropic\]'"):
            attempt()


def test_importing_the_provider_does_not_import_the_sdk_and_preload_does() -> None:
    program = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "import argosy_host.providers.anthropic as provider\n"
        "assert 'anthropic' not in sys.modules\n"
        "from threading import Thread\n"
        "thread = Thread(target=provider.preload); thread.start(); thread.join(50)\n"
        "assert 'anthropic' in sys.modules\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=55).returncode == 0


async def test_it_is_a_model() -> None:
    async with serving() as (model, _):
        typed: Model = model
        assert typed.provider == "anthropic"
