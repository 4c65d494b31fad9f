"""The turns of the offline model: call read tools, read what they point to, quote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from argosy_host.providers.base import (
    Message,
    ModelReply,
    ModelRequest,
    TextSink,
    ToolCall,
    ToolReturn,
    Usage,
)
from argosy_host.providers.offline import capture as capturing
from argosy_host.providers.offline.answer import UNQUOTED, Answer, compose, estimate_tokens
from argosy_host.providers.offline.capture import Capture
from argosy_host.providers.offline.choice import Wish, first_calls, follow_up_calls
from argosy_host.providers.offline.intent import Question, find_task, understand

_MODEL_NAME = "offline"
_MOST_TOOL_TURNS = 2
_LONGEST_TASK = 4000


@dataclass(frozen=True, slots=True)
class _Turn:
    """Where a conversation stands: what is asked, what was called for it, and what came back."""

    question: Question
    capture: Capture | None
    calls: Sequence[ToolCall]
    returns: Sequence[ToolReturn]
    tool_turns: int
    calls_before: int


class OfflineModel:
    """A deterministic, extractive model: no network, no key, no language model.

    It reads with read-only tools, at most twice, and answers with quotations of what they returned, each with
    its source. It writes only what a task asks to be remembered or added to the journal. It keeps no state.
    """

    provider: str = "offline"

    async def complete(self, request: ModelRequest, on_text: TextSink | None = None) -> ModelReply:
        """One turn: calls while there is something to read, then the answer, streamed line by line."""
        task = find_task(request.messages)
        if task is None:
            return _reply(request, Answer(f"There is no task to work on.\n\n{UNQUOTED}"), on_text)
        turn = _read_turn(request, task)
        if wishes := _wishes(turn, request):
            numbered = enumerate(wishes, start=turn.calls_before + 1)
            calls = tuple(ToolCall(f"call_{number}", name, arguments) for number, (name, arguments) in numbered)
            return ModelReply("", calls, "tool_use", _usage(request, "", calls), _MODEL_NAME)
        return _reply(request, _answer(turn, request.max_output_tokens), on_text)

    async def close(self) -> None:
        """Nothing is held, so nothing is released."""


def _read_turn(request: ModelRequest, task: int) -> _Turn:
    text = request.messages[task].text[:_LONGEST_TASK]
    capture = capturing.find_capture(text)
    earlier = find_task(request.messages[:task])
    before = request.messages[earlier].text[:_LONGEST_TASK] if earlier is not None else ""
    question = understand(capture.rest if capture else text, request.today, "" if capture else before)
    since = request.messages[task + 1 :]
    calls = [call for message in since for call in message.calls]
    returns = [result for message in since for result in message.returns]
    tool_turns = sum(bool(message.calls) for message in since)
    return _Turn(question, capture, calls, returns, tool_turns, _count_calls(request.messages))


def _count_calls(messages: Sequence[Message]) -> int:
    return sum(len(message.calls) for message in messages)


def _wishes(turn: _Turn, request: ModelRequest) -> list[Wish]:
    """The calls to make now; none when it is time to answer."""
    asks = turn.capture is None or bool(turn.capture.rest)
    if turn.tool_turns == 0:
        reads = first_calls(turn.question, request.tools) if asks else []
        return [*_write(turn.capture, request), *reads]
    if turn.tool_turns < _MOST_TOOL_TURNS and asks:
        return follow_up_calls(turn.question, request.tools, _read_results(turn), turn.calls)
    return []


def _write(capture: Capture | None, request: ModelRequest) -> list[Wish]:
    if capture is None:
        return []
    tool = next((tool for tool in request.tools if tool.name == capture.tool), None)
    arguments = capturing.arguments_for(capture, tool) if tool else None
    return [(capture.tool, arguments)] if arguments else []


def _read_results(turn: _Turn) -> list[ToolReturn]:
    return [result for result in turn.returns if result.name not in capturing.WRITERS]


def _answer(turn: _Turn, most_tokens: int) -> Answer:
    if turn.capture is None:
        return compose(turn.question, _read_results(turn), "", most_tokens)
    written = next((result for result in turn.returns if result.name == turn.capture.tool), None)
    opening, saved = capturing.outcome(turn.capture, written) if written else (capturing.missing(turn.capture), ())
    if not turn.capture.rest:
        return Answer(f"{opening}\n\n{UNQUOTED}", saved)
    answer = compose(turn.question, _read_results(turn), opening, most_tokens)
    return Answer(answer.text, (*saved, *answer.citations))


def _reply(request: ModelRequest, answer: Answer, on_text: TextSink | None) -> ModelReply:
    if on_text:
        for line in answer.text.splitlines(keepends=True):
            on_text(line)
    usage = _usage(request, answer.text, ())
    return ModelReply(answer.text, (), "end_turn", usage, _MODEL_NAME, citations=answer.citations)


def _usage(request: ModelRequest, text: str, calls: Sequence[ToolCall]) -> Usage:
    read = sum(estimate_tokens(segment.text) for segment in request.system)
    read += sum(_message_tokens(message) for message in request.messages)
    read += sum(estimate_tokens(f"{tool.name} {tool.description}{_json(tool.input_schema)}") for tool in request.tools)
    return Usage(read, estimate_tokens(text) + _call_tokens(calls))


def _message_tokens(message: Message) -> int:
    returned = sum(estimate_tokens(result.text) for result in message.returns)
    return estimate_tokens(message.text) + returned + _call_tokens(message.calls)


def _call_tokens(calls: Sequence[ToolCall]) -> int:
    return sum(estimate_tokens(call.name + _json(call.arguments)) for call in calls)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
