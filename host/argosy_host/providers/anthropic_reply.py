"""A reply of the Messages API while it arrives, and what it is once it is whole."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from argosy_host.providers.anthropic_wire import native_turn
from argosy_host.providers.base import ModelReply, StopReason, ToolCall, Usage

_STOPS: Mapping[str, StopReason] = {
    "end_turn": "end_turn",
    "stop_sequence": "end_turn",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "model_context_window_exceeded": "max_tokens",
    "refusal": "refusal",
    "pause_turn": "pause_turn",
}
_STOPS_ANYWHERE = ("max_tokens", "refusal")


class Arrival:
    """What has arrived so far. It is a reply only when *finished*: the API then said that it sent all of it."""

    def __init__(self) -> None:
        self.finished = False
        self.characters = 0
        self._inputs: dict[int, str] = {}

    def take(self, event: Any) -> str:
        """Note one event of the stream; returns the text in it, most often none."""
        text = ""
        if event.type == "content_block_start" and event.content_block.type == "text":
            text = event.content_block.text
        elif event.type == "content_block_delta":
            text = self._delta(event.index, event.delta)
        elif event.type == "message_stop":
            self.finished = True
        self.characters += len(text)
        return text

    def _delta(self, index: int, delta: Any) -> str:
        if delta.type == "input_json_delta":
            self._inputs[index] = self._inputs.get(index, "") + delta.partial_json
        return cast("str", delta.text) if delta.type == "text_delta" else ""

    def reply(self, message: Any, request_id: str | None, prefix: str) -> ModelReply:
        """The whole reply. Raises ValueError or LookupError where it makes no sense."""
        stop = _STOPS[message.stop_reason]
        calls = self._calls(message.content, stop)
        lost = [index for index, call in calls.items() if call is None]
        kept = [block.to_dict(mode="json", warnings=False) for i, block in enumerate(message.content) if i not in lost]
        return ModelReply(
            text="".join(block.text for block in message.content if block.type == "text"),
            calls=tuple(call for call in calls.values() if call is not None),
            stop=stop,
            usage=_usage(message.usage),
            model=message.model,
            native=native_turn(kept, prefix),
            request_id=request_id,
            extra=_extra(message, [message.content[index].name for index in lost]),
        )

    def _calls(self, content: Sequence[Any], stop: StopReason) -> dict[int, ToolCall | None]:
        found = ((index, block) for index, block in enumerate(content) if block.type == "tool_use")
        return {index: self._call(index, block, stop) for index, block in found}

    def _call(self, index: int, block: Any, stop: StopReason) -> ToolCall | None:
        """The call, or None where the reply stopped in the middle of its arguments: half a call is never run."""
        cut_short = stop in _STOPS_ANYWHERE
        raw = self._inputs.get(index, "")
        if not raw and not cut_short:
            return ToolCall(block.id, block.name, dict(block.input))
        try:
            return ToolCall(block.id, block.name, _object(raw))
        except ValueError:
            if cut_short:
                return None
            raise


def _object(raw: str) -> dict[str, Any]:
    value = json.loads(raw)
    if not isinstance(value, dict):
        raise ValueError("the arguments of a call are a JSON object")
    return cast("dict[str, Any]", value)


def _usage(usage: Any) -> Usage:
    return Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read=usage.cache_read_input_tokens or 0,
        cache_write=usage.cache_creation_input_tokens or 0,
    )


def _extra(message: Any, incomplete_calls: list[str]) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if incomplete_calls:
        extra["incomplete_calls"] = incomplete_calls
    if message.stop_details is not None:
        extra["stop_details"] = message.stop_details.to_dict(mode="json")
    return extra
