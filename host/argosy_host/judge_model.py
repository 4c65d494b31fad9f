"""The one completion that the judge asks its client for: the host makes it, with the model that ``judges.md`` names.

The prompt is the judge's and goes out as it came: nothing of the run, its context or how the judge is run is put in.
What goes wrong is a completion without text that says so (`FAILURE_META`): the judge says what that becomes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
from anyio import CancelScope, to_thread
from mcp.types import CreateMessageRequestParams, CreateMessageResult, TextContent

from argosy_core.errors import ArgosyError, InvalidArgument, Unauthenticated, Unavailable
from argosy_core.policy.judges_md import load_judges
from argosy_core.policy.judges_model import JudgesFile
from argosy_core.policy.judgment import COST_META, FAILURE_META
from argosy_core.views.reader import Reader
from argosy_host.providers.base import Message, Model, ModelReply, ModelRequest, Segment
from argosy_host.providers.choosing import OFFLINE, named_model, open_model, preload
from argosy_host.providers.prices import cost_usd

CLOSE_SECONDS = 5.0
MAX_ANSWER_TOKENS = 4_000
SEGMENT = "judge"


class JudgeModel:
    """Answers the sampling requests of one agent's judge; *actor_model* is who judges where the owner names nobody."""

    def __init__(
        self, reader: Reader, agent: str, actor_model: str, opener: Callable[[str], Model] = open_model
    ) -> None:
        self._reader = reader
        self._agent = agent
        self._actor_model = actor_model
        self._opener = opener
        self._open: dict[str, Model] = {}
        self._opening = anyio.Lock()

    async def __call__(self, context: Any, params: CreateMessageRequestParams) -> CreateMessageResult:
        """The completion of *params*. Never raises: a failure is an answer that says why there is none."""
        hints = params.model_preferences.hints if params.model_preferences else None
        name, provider = named_model(hints[0].name if hints and hints[0].name else self._actor_model)
        try:
            request = _request(name, params)
            settings = await to_thread.run_sync(self._settings)
            model = await self._model(name, provider)
        except ArgosyError as error:
            return _failed(name, error.message, cost=0.0)
        try:
            with anyio.fail_after(settings.timeout_ms / 1000):
                return _answered(await model.complete(request))
        except TimeoutError:
            return _failed(name, f"{name} did not answer within {settings.timeout_ms} ms")
        except ArgosyError as error:
            unsent = isinstance(error, (Unauthenticated, InvalidArgument))
            return _failed(name, error.message, cost=0.0 if unsent else None)

    async def close(self) -> None:
        """Release connections. Idempotent."""
        opened, self._open = self._open, {}
        for model in opened.values():
            with CancelScope(shield=True), anyio.move_on_after(CLOSE_SECONDS):
                await model.close()

    def preload(self) -> None:
        """Import what the judge's model needs, while there are other things to do; nothing where no model judges."""
        try:
            settings = self._settings()
        except ArgosyError:
            return  # nothing is judged by a model until the policy reads
        if settings.backend == "llm" or "llm" in settings.specialist_composition.values():
            preload(named_model(settings.model or self._actor_model)[1])

    def _settings(self) -> JudgesFile:
        return load_judges(self._reader.read, self._agent).settings

    async def _model(self, name: str, provider: str) -> Model:
        if provider == OFFLINE:
            raise Unavailable(f"{name} is no language model and cannot judge; name one in judges.md (model:)")
        async with self._opening:
            if provider not in self._open:
                self._open[provider] = await to_thread.run_sync(self._opener, provider)
            return self._open[provider]


@asynccontextmanager
async def closing(model: JudgeModel) -> AsyncGenerator[JudgeModel]:
    """*model*, closed at the end."""
    try:
        yield model
    finally:
        await model.close()


def _request(name: str, params: CreateMessageRequestParams) -> ModelRequest:
    """Raises InvalidArgument for anything but text."""
    messages = [Message(message.role, text=_text(message.content)) for message in params.messages]
    system = [Segment(SEGMENT, params.system_prompt)] if params.system_prompt else []
    limit = min(params.max_tokens, MAX_ANSWER_TOKENS)
    return ModelRequest(name, system, messages, (), max_output_tokens=limit, temperature=params.temperature)


def _text(content: Any) -> str:
    parts = cast("list[object]", content if isinstance(content, list) else [content])
    texts = [part.text for part in parts if isinstance(part, TextContent)]
    if len(texts) < len(parts):
        raise InvalidArgument("a judge asks in text only")
    return "".join(texts)


def _answered(reply: ModelReply) -> CreateMessageResult:
    text = "" if reply.stop == "refusal" else reply.text
    cost, _ = cost_usd(reply.model, reply.usage)
    content = TextContent(type="text", text=text)
    return CreateMessageResult(role="assistant", content=content, model=reply.model, _meta={COST_META: cost})


def _failed(name: str, why: str, cost: float | None = None) -> CreateMessageResult:
    """No completion; without *cost* nobody knows what it cost, and the judge keeps to what it set aside."""
    meta: dict[str, Any] = {FAILURE_META: why} | ({} if cost is None else {COST_META: cost})
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text=""), model=name, _meta=meta)
