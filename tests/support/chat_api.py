"""Replies of a chat completions API, for the server in `messages_api`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from messages_api import PIECE_CHARACTERS, Raw

Chunk = dict[str, Any]
USAGE = {"prompt_tokens": 20, "completion_tokens": 6, "total_tokens": 26, "prompt_tokens_details": {"cached_tokens": 8}}


def chat(
    text: str = "",
    *calls: tuple[str, Mapping[str, Any] | str],
    stop: str | None = None,
    usage: Mapping[str, Any] | None = USAGE,
    model: str = "local-1",
    sent: int | None = None,
    cut: bool = False,
) -> Raw:
    """A streamed reply; with *sent* only so many chunks of it, and with *cut* the connection then drops."""
    pieces = [text[at : at + PIECE_CHARACTERS] for at in range(0, len(text), PIECE_CHARACTERS)]
    deltas: list[Chunk] = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in pieces)]
    for index, (name, arguments) in enumerate(calls):
        raw = arguments if isinstance(arguments, str) else json.dumps(arguments)
        first = {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": ""}}
        deltas.append({"tool_calls": [first]})
        for at in range(0, len(raw), PIECE_CHARACTERS):
            part = {"index": index, "function": {"arguments": raw[at : at + PIECE_CHARACTERS]}}
            deltas.append({"tool_calls": [part]})
    chunks = [chunk(model, delta) for delta in deltas]
    chunks.append(chunk(model, {}, stop or ("tool_calls" if calls else "stop")))
    if usage is not None:
        chunks.append({**chunk(model, {}), "choices": [], "usage": dict(usage)})
    return stream(chunks if sent is None else chunks[:sent], done=sent is None, cut=cut)


def chunk(model: str, delta: Chunk, finish: str | None = None) -> Chunk:
    """One chunk with one choice."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}


def stream(chunks: Sequence[Chunk], *, done: bool = True, cut: bool = False) -> Raw:
    """Chunks as the bytes of a stream."""
    lines = [f"data: {json.dumps(one)}\n\n" for one in chunks]
    return Raw("".join([*lines, "data: [DONE]\n\n"] if done else lines), cut=cut)
