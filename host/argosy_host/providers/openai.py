"""Any model behind a chat completions API, by way of OpenAI's SDK: OpenAI's own, Ollama, vLLM, LM Studio and others."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import anyio

from argosy_core.errors import ArgosyError, Unavailable
from argosy_host.providers.api_errors import ApiErrors
from argosy_host.providers.base import ModelReply, ModelRequest, TextSink, Usage
from argosy_host.providers.openai_reply import Arrival
from argosy_host.providers.openai_wire import encode

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream
    from openai.types.chat import ChatCompletionChunk

PROVIDER = "openai"
URL_VARIABLE = "OPENAI_BASE_URL"
ERRORS = ApiErrors(
    "OpenAI-compatible API", "OpenAI", "openai", "OPENAI_API_KEY",
    {
        "invalid_request_error": 400, "invalid_api_key": 401, "authentication_error": 401, "insufficient_quota": 429,
        "model_not_found": 404, "context_length_exceeded": 400, "rate_limit_exceeded": 429, "server_error": 500,
    },
)  # fmt: skip
_OWN_HOST = "api.openai.com"
_NO_KEY = "none"  # what a server of one's own, which asks for no key, is sent
_CONNECT_SECONDS = 10.0
_BYTES_PER_TOKEN = 2  # as `prices.estimate_usd` counts


def preload() -> None:
    """Import the SDK, which takes about a second. Raises `Unavailable` when it is not installed."""
    _connect(_NO_KEY, base_url="http://127.0.0.1/v1", max_retries=0, timeout_seconds=1.0)


class OpenAIModel:
    """A `Model` over chat completions.

    *base_url* is by default ``$OPENAI_BASE_URL``, else OpenAI's own; a key is needed only there. *max_retries* counts
    the requests made again before a reply begins; *timeout_seconds* bounds every wait for the next bytes, and with the
    retries the whole wait for a reply to begin. Raises `Unauthenticated` without a key, `Unavailable` without the SDK.
    """

    provider: str = PROVIDER

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        max_retries: int = 4,
        timeout_seconds: float = 120.0,
    ) -> None:
        base_url = base_url or os.environ.get(URL_VARIABLE) or None
        self._own = base_url is None or urlsplit(base_url).hostname == _OWN_HOST
        self._key = _usable_key(api_key, needed=self._own)
        self._begin_seconds = timeout_seconds * (max_retries + 1)
        self._client = _connect(self._key, base_url, max_retries, timeout_seconds)
        self._closed = False

    async def complete(self, request: ModelRequest, on_text: TextSink | None = None) -> ModelReply:
        """One turn; see `Model`. What *on_text* itself raises ends the turn and comes out as it is."""
        if self._closed:
            raise Unavailable("This connection to the OpenAI-compatible API is closed")
        body = encode(request, own=self._own)
        stream = await self._begin(body)
        arrival, request_id = Arrival(), stream.response.headers.get("x-request-id")
        try:
            while (text := await self._next(stream, arrival, request_id)) is not None:
                if text and on_text is not None:
                    on_text(text)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(1.0), suppress(Exception):
                await stream.close()
        try:
            return arrival.reply(request_id, _estimate(body, arrival.characters), request.model)
        except ValueError as error:
            raise ERRORS.from_stream(error, self._key, request_id, arrival.characters) from None

    async def close(self) -> None:
        """Release connections. Idempotent."""
        self._closed = True
        await self._client.close()

    async def _begin(self, body: dict[str, Any]) -> AsyncStream[ChatCompletionChunk]:
        from openai import APIError

        try:
            # Bounds the sum: the API may ask for a wait of any length before a retry.
            with anyio.fail_after(self._begin_seconds):
                # The SDK types the reply by the literal stream=True, which stands in the body here.
                return cast("AsyncStream[ChatCompletionChunk]", await self._client.chat.completions.create(**body))
        except APIError as error:
            # Not chained: the SDK's error holds the request, and the request holds the key.
            raise ERRORS.from_request(error, self._key) from None
        except TimeoutError:
            raise ERRORS.no_answer() from None

    async def _next(self, stream: Any, arrival: Arrival, request_id: str | None) -> str | None:
        """The text of the next chunk; None after the last."""
        # Whatever the bytes of a broken reply make the SDK or us raise, it is the reply that is broken.
        try:
            chunk = await anext(stream, None)
            if chunk is not None:
                return arrival.take(chunk)
            if not arrival.finished:
                raise EOFError("the stream ended before the reply did")
        except ArgosyError:
            raise
        except Exception as error:
            if arrival.finished and not isinstance(error, EOFError):
                return None  # the reply is whole; only its usage may be missing
            raise ERRORS.from_stream(error, self._key, request_id, arrival.characters) from None
        return None


def _estimate(body: dict[str, Any], characters: int) -> Usage:
    """Tokens by the length of what was sent and came, where a server counts none."""
    sent = len(json.dumps([body["messages"], body.get("tools")], ensure_ascii=False).encode())
    return Usage(input_tokens=-(-sent // _BYTES_PER_TOKEN), output_tokens=-(-characters // _BYTES_PER_TOKEN))


def _usable_key(given: str | None, *, needed: bool) -> str:
    key = (given or os.environ.get(ERRORS.key_variable) or "").strip()
    # Anything else cannot stand in a header, and would come back as an error that quotes it.
    if key and key.isascii() and key.isprintable():
        return key
    if needed or key:
        raise ERRORS.missing_key()
    return _NO_KEY


def _connect(key: str, base_url: str | None, max_retries: int, timeout_seconds: float) -> AsyncOpenAI:
    try:
        import openai
    except ImportError as error:
        raise ERRORS.missing_sdk() from error
    timeout = openai.Timeout(timeout_seconds, connect=min(timeout_seconds, _CONNECT_SECONDS))
    return openai.AsyncOpenAI(api_key=key, base_url=base_url, max_retries=max_retries, timeout=timeout)
