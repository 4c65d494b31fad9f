"""How a request looks to the Messages API. No SDK and no I/O, so it can be read and tested by itself.

Cache breakpoints. The API takes at most four in a request. One is kept for the last block of the last user
message, so that each turn of a growing history reads what the turn before it wrote; the other three go to the last
segments that ask for one, because a later breakpoint also covers the text before it.

Thinking blocks. The API accepts a thinking block only behind the very text it was made behind. So each assistant turn
keeps a digest of what preceded it; when the system text, the tools or an earlier turn has changed since, its thinking
is left out, and the rest of the turn is still sent as it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from argosy_host.providers.base import Message, ModelRequest, Segment, ToolReturn, ToolSpec

Block = dict[str, Any]

PROVIDER = "anthropic"
MAX_BREAKPOINTS = 4
SYSTEM_BREAKPOINTS = MAX_BREAKPOINTS - 1
_EPHEMERAL = {"type": "ephemeral"}
_THINKING = ("thinking", "redacted_thinking")


def encode(request: ModelRequest) -> tuple[dict[str, Any], str]:
    """The body of the call, and the digest of everything the reply will stand behind."""
    system = _system(request.system, request.today)
    tools = [_tool(spec) for spec in request.tools]
    head = [request.model, [block["text"] for block in system], tools]
    messages, prefix = _thread(request.messages, head)
    _mark_last_user_block(messages)
    body: dict[str, Any] = {
        "model": request.model,
        "max_tokens": request.max_output_tokens,
        "messages": messages,
    }
    return body | _present(system=system, tools=tools), prefix


def native_turn(content: Sequence[Block], prefix: str) -> dict[str, Any]:
    """What `Message.native` holds of an assistant turn: plain JSON, named after the provider that made it."""
    return {"provider": PROVIDER, "prefix": prefix, "content": list(content)}


def _present(**fields: list[Block]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _system(segments: Sequence[Segment], today: str) -> list[Block]:
    blocks: list[Block] = []
    asked: set[int] = set()
    for segment in segments:
        if segment.text.strip():
            blocks.append(_text(segment.text))
        # An empty segment cannot be sent, but the breakpoint it asks for still ends the text before it.
        if segment.cache and blocks:
            asked.add(len(blocks) - 1)
    for index in sorted(asked)[-SYSTEM_BREAKPOINTS:]:
        blocks[index]["cache_control"] = _EPHEMERAL
    # Last, so that a new day leaves the cached text before it valid.
    return [*blocks, _text(f"Today is {today}.")] if today else blocks


def _tool(spec: ToolSpec) -> Block:
    tool: Block = {"name": spec.name, "input_schema": dict(spec.input_schema)}
    return tool | {"description": spec.description} if spec.description.strip() else tool


def _thread(messages: Sequence[Message], head: Any) -> tuple[list[Block], str]:
    digest = hashlib.sha256(_canonical(head))
    wire: list[Block] = []
    for message in messages:
        blocks = _user(message) if message.role == "user" else _assistant(message, digest.hexdigest())
        digest.update(_canonical([message.role, blocks]))
        if blocks:
            _append(wire, message.role, blocks)
    return wire, digest.hexdigest()


def _append(wire: list[Block], role: str, blocks: list[Block]) -> None:
    if role == "user" and wire and wire[-1]["role"] == "user":
        merged = [*wire[-1]["content"], *blocks]
        # The API wants every return of a turn in the one message after it, ahead of any text.
        wire[-1]["content"] = sorted(merged, key=lambda block: block["type"] != "tool_result")
    else:
        wire.append({"role": role, "content": blocks})


def _user(message: Message) -> list[Block]:
    returns = [_tool_result(result) for result in message.returns]
    return [*returns, _text(message.text)] if message.text.strip() else returns


def _tool_result(result: ToolReturn) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": result.call_id}
    if result.text.strip():
        block["content"] = result.text
    if result.is_error:
        block["is_error"] = True
    return block


def _assistant(message: Message, prefix: str) -> list[Block]:
    turn = _own_turn(message.native)
    if turn is None:
        return _plain(message)
    blocks: list[Block] = [block for block in turn["content"] if not _is_empty_text(block)]
    if turn["prefix"] == prefix:
        return blocks
    return [block for block in blocks if block["type"] not in _THINKING]


def _own_turn(native: Any) -> Mapping[str, Any] | None:
    turn = cast("Mapping[str, Any]", native) if isinstance(native, Mapping) else None
    return turn if turn is not None and turn.get("provider") == PROVIDER else None


def _plain(message: Message) -> list[Block]:
    calls: list[Block] = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)} for call in message.calls
    ]
    return [_text(message.text), *calls] if message.text.strip() else calls


def _mark_last_user_block(messages: list[Block]) -> None:
    for message in reversed(messages):
        if message["role"] == "user":
            message["content"][-1]["cache_control"] = _EPHEMERAL
            return


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _is_empty_text(block: Block) -> bool:
    return block["type"] == "text" and not block["text"].strip()


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
