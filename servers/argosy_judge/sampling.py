"""One completion of the client's model, in both eras of the protocol.

The modern era answers the call with what is to be asked and is called again with the reply; the older one asks in the
middle of the call. The SDK's resolvers do either; they are run by hand here, because most calls need none.
"""

from __future__ import annotations

from typing import Any, cast

from mcp.server.mcpserver import Context, Resolve, Sample
from mcp.server.mcpserver.resolve import build_resolver_plans, resolve_arguments
from mcp_types import (
    CreateMessageResult,
    InputRequiredResult,
    ModelHint,
    ModelPreferences,
    SamplingMessage,
    TextContent,
)

from argosy_judge.seats import MAX_ANSWER_TOKENS, Question

MODERN = "2026-07-28"


async def ask_model(ctx: Context, question: Question) -> CreateMessageResult | InputRequiredResult | str:
    """The model's reply; what the client is to be asked for it; or in words why it cannot be."""
    refused = _cannot_ask(ctx)
    if refused is not None:
        return refused
    found = await resolve_arguments(_WANTED, _PLANS, {"question": question}, ctx)
    return found if isinstance(found, InputRequiredResult) else found["reply"]


def read_completion(result: CreateMessageResult) -> tuple[str, str | None, dict[str, Any] | None]:
    """Text, model and metadata of a completion; where it holds no text the text is empty, which is no verdict."""
    content: Any = result.content
    parts = cast("list[object]", content if isinstance(content, list) else [content])
    text = "".join(part.text for part in parts if isinstance(part, TextContent))
    return text, result.model, dict(result.meta) if result.meta else None


def completion(question: Question) -> Sample:
    """What the client's model is asked."""
    hints = None if question.model is None else ModelPreferences(hints=[ModelHint(name=question.model)])
    return Sample(
        [SamplingMessage(role="user", content=TextContent(type="text", text=question.user))],
        max_tokens=MAX_ANSWER_TOKENS,
        system_prompt=question.system,
        temperature=0.0,
        model_preferences=hints,
    )


async def _ask(question: Question) -> Sample:
    return completion(question)


_WANTED = {"reply": (Resolve(_ask), False)}
_PLANS = build_resolver_plans(_WANTED, {"question"})


def _cannot_ask(ctx: Context) -> str | None:
    """Why the client cannot be asked for a completion; None when it can."""
    try:
        capabilities = ctx.client_capabilities
        reachable = (ctx.protocol_version or "") >= MODERN or ctx.session.can_send_request
    except (ValueError, LookupError):
        return "nobody is connected who could ask one"
    if capabilities is None or capabilities.sampling is None:
        return "this client does not offer sampling"
    return None if reachable else "this client cannot be reached while it waits"
