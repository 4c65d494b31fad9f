"""How a request looks to a chat completions API (OpenAI's, which Ollama, vLLM, LM Studio and many more speak too).

No SDK and no I/O. Only what all of them know is sent: their servers differ in the rest.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from argosy_host.providers.base import Message, ModelRequest, Segment, ToolReturn, ToolSpec

Part = dict[str, Any]
EMPTY_RETURN = "(nothing)"  # some servers refuse a message without text


def encode(request: ModelRequest, *, own: bool) -> dict[str, Any]:
    """The body of the call. *own* is for OpenAI's own address: its newer models refuse the old name of the limit, and
    any temperature but their own."""
    messages = [*_system(request.system, request.today)]
    for message in request.messages:
        messages += _user(message) if message.role == "user" else _assistant(message)
    body: dict[str, Any] = {
        "model": request.model,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens" if own else "max_tokens": request.max_output_tokens,
    }
    if request.temperature is not None and not own:
        body["temperature"] = request.temperature
    if request.tools:
        body["tools"] = [_tool(spec) for spec in request.tools]
    return body


def _system(segments: Sequence[Segment], today: str) -> list[Part]:
    # One message, stable text first: these servers cache by the longest prefix that is the same.
    texts = [segment.text for segment in segments if segment.text.strip()]
    texts += [f"Today is {today}."] if today else []
    return [{"role": "system", "content": "\n\n".join(texts)}] if texts else []


def _user(message: Message) -> list[Part]:
    returns = [_return(result) for result in message.returns]
    return [*returns, {"role": "user", "content": message.text}] if message.text.strip() else returns


def _return(result: ToolReturn) -> Part:
    text = result.text if result.text.strip() else EMPTY_RETURN
    return {"role": "tool", "tool_call_id": result.call_id, "content": text}


def _assistant(message: Message) -> list[Part]:
    part: Part = {"role": "assistant"}
    if message.text.strip():
        part["content"] = message.text
    if message.calls:
        part["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments), ensure_ascii=False)},
            }
            for call in message.calls
        ]
    return [part] if len(part) > 1 else []


def _tool(spec: ToolSpec) -> Part:
    function: Part = {"name": spec.name, "parameters": dict(spec.input_schema)}
    if spec.description.strip():
        function["description"] = spec.description
    return {"type": "function", "function": function}
