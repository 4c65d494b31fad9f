"""Judges to be tested alike: the rules, and a model that a client asks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp import Client
from mcp.types import CreateMessageRequestParams, CreateMessageResult, TextContent
from served import Answer, Bench

from argosy_core.serving.shaping import ERROR_META
from argosy_judge.server import create

LLM = "## Default judge\n\n- backend: llm\n- model: other-family-1\n- timeout_ms: 5000\n"
ALLOWING = "## Class policy\n\n- external_side_effect: allow_with_audit\n"
MANDATE = """## pay-rent

granted_by: marit
granted_at: 2026-11-01
scope: rent
revocation_state: active
constraints:
  allowed_tools: [bank__pay]
  {cap}: 0.2
"""
Reply = str | Mapping[str, Any]


@dataclass
class Script:
    """What the client's model answers, and all it was asked."""

    reply: Callable[[CreateMessageRequestParams], Reply]
    meta: dict[str, Any] | None = None
    asked: list[CreateMessageRequestParams] = field(default_factory=list[CreateMessageRequestParams])

    async def __call__(self, context: Any, params: CreateMessageRequestParams) -> CreateMessageResult:
        self.asked.append(params)
        reply = self.reply(params)
        text = reply if isinstance(reply, str) else json.dumps(reply)
        content = TextContent(type="text", text=text)
        return CreateMessageResult(role="assistant", content=content, model="other-family-1", _meta=self.meta)


def verdict(outcome: str, reason: str = "because", amendment: Any = None, seat: str = "judge") -> dict[str, Any]:
    """A model's answer with one verdict."""
    return {"verdicts": {seat: {"outcome": outcome, "reason": reason}}, "amendment": amendment}


def scripted(reply: Reply) -> Script:
    """A model that always answers the same."""
    return Script(lambda params: reply)


def proposal(tool: str = "mail__send", arguments: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A proposal of a foreign tool."""
    given = {"text": "hello"} if arguments is None else dict(arguments)
    return {"tool_name": tool, "tool_call_id": "call_1", "tool_arguments": given, **more}


async def judge(
    bench: Bench,
    given: Mapping[str, Any],
    script: Script | None = None,
    *,
    mode: str = "2026-07-28",
    grant: str | None = None,
) -> Answer:
    """Ask the judge for harbor, with a client whose model is *script* (none: a client without one)."""
    meta: Any = {"argosy/run": bench.tokens.issue("harbor", "run-1", grant=grant)}
    server = create(bench.config())
    async with Client(server, mode=mode, sampling_callback=script, raise_exceptions=True) as client:
        result = await client.call_tool("judge_evaluate", {"proposal": dict(given)}, meta=meta)
    text = "".join(block.text for block in result.content if block.type == "text")
    error = (result.meta or {}).get(ERROR_META, {})
    return Answer(result.structured_content or {}, text, error.get("code"), error.get("detail", {}))
