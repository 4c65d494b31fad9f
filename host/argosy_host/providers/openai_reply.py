"""A reply of a chat completions API while it arrives, and what it is once it is whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from argosy_host.providers.base import ModelReply, StopReason, ToolCall, Usage

_STOPS: Mapping[str, StopReason] = {
    "stop": "end_turn",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "length": "max_tokens",
    "content_filter": "refusal",
}


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: str = ""


class Arrival:
    """What has arrived so far. It is a reply only when *finished*: a reason for its end has come."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._calls: list[_Call] = []
        self._places: dict[int, _Call] = {}
        self._stop: str | None = None
        self._refusal = ""
        self._usage: Any = None
        self._model = ""
        self.characters = 0

    @property
    def finished(self) -> bool:
        return self._stop is not None

    def take(self, chunk: Any) -> str:
        """Note one chunk of the stream; returns the text in it. Raises ValueError where it makes no sense."""
        self._model = chunk.model or self._model
        self._usage = chunk.usage or self._usage
        text = ""
        for choice in chunk.choices or ():
            delta = choice.delta
            if delta is not None:
                text += delta.content or ""
                self._refusal += delta.refusal or ""
                for part in delta.tool_calls or ():
                    self._take_call(part)
            self._stop = choice.finish_reason or self._stop
        self._texts.append(text)
        self.characters += len(text)
        return text

    def _take_call(self, part: Any) -> None:
        call = self._call_of(part)
        function = part.function
        call.id = call.id or part.id or ""
        if function is not None:
            call.name = call.name or function.name or ""
            call.arguments += function.arguments or ""

    def _call_of(self, part: Any) -> _Call:
        """The call that *part* goes on with: by its place; where a server gives none, a name begins another."""
        place = getattr(part, "index", None)
        if place is None:
            starts = not self._calls or bool(part.function is not None and part.function.name)
            place = len(self._calls) if starts else len(self._calls) - 1
        if place not in self._places:
            self._places[place] = _Call()
            self._calls.append(self._places[place])
        return self._places[place]

    def reply(self, request_id: str | None, estimate: Usage, model: str) -> ModelReply:
        """The whole reply; *estimate* stands for a usage that the server does not tell. Raises ValueError."""
        stop = _STOPS.get(self._stop or "", "end_turn")
        found = [self._call(number, call, stop) for number, call in enumerate(self._calls, 1)]
        calls = tuple(call for call in found if call is not None)
        text = "".join(self._texts)
        if self._refusal and not text:
            stop, text = "refusal", self._refusal
        elif calls and stop == "end_turn":  # some servers say "stop" behind a call
            stop = "tool_use"
        extra: dict[str, Any] = {} if self._usage else {"usage_estimated": True}
        if len(calls) < len(found):
            extra["incomplete_calls"] = [call.name for call, made in zip(self._calls, found, strict=True) if not made]
        return ModelReply(
            text=text,
            calls=calls,
            stop=stop,
            usage=_usage(self._usage) if self._usage else estimate,
            model=self._model or model,
            request_id=request_id,
            extra=extra,
        )

    def _call(self, number: int, call: _Call, stop: StopReason) -> ToolCall | None:
        """The call, or None where the reply stopped in the middle of its arguments: half a call is never run."""
        try:
            value: Any = json.loads(call.arguments or "{}")
            if not isinstance(value, dict) or not call.name:
                raise ValueError("a call has a name, and its arguments are a JSON object")
        except ValueError:
            if stop in ("max_tokens", "refusal"):
                return None
            raise
        return ToolCall(call.id or f"call_{number}", call.name, cast("dict[str, Any]", value))


def _usage(usage: Any) -> Usage:
    details = getattr(usage, "prompt_tokens_details", None)
    cached = (getattr(details, "cached_tokens", None) or 0) if details is not None else 0
    prompt, output = usage.prompt_tokens or 0, usage.completion_tokens or 0
    return Usage(input_tokens=max(0, prompt - cached), output_tokens=output, cache_read=cached)
