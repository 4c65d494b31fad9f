"""Claude, by way of Anthropic's SDK: streamed, cached, and with every failure in our own words."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, aclosing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio

from argosy_core.errors import Unavailable
from argosy_host.providers.anthropic_reply import Arrival
from argosy_host.providers.anthropic_wire import PROVIDER, encode
from argosy_host.providers.api_errors import ApiErrors
from argosy_host.providers.base import ModelReply, ModelRequest, TextSink

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from anthropic.lib.streaming import AsyncMessageStream

ERRORS = ApiErrors(
    "Anthropic API", "Anthropic", "anthropic", "ANTHROPIC_API_KEY",
    {
        "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
        "not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "api_error": 500,
        "timeout_error": 504, "overloaded_error": 529,
    },
)  # fmt: skip
_CONNECT_SECONDS = 10.0
_DRAIN_SECONDS = 0.25


def preload() -> None:
    """Import the SDK, which takes about a second. Safe in a thread, while the host is still starting.

    Raises `Unavailable` when it is not installed.
    """
    # The SDK imports its transport with the first client, so one is made here, off the event loop, and let go.
    _connect("unused", base_url=None, max_retries=0, timeout_seconds=1.0)


class AnthropicModel:
    """A `Model` over the Messages API.

    *max_retries* counts the requests made again before a reply begins, each after the time the API asks for; a reply
    that has begun is never asked for twice. *timeout_seconds* bounds every wait for the next bytes, and with the
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
        self._key = _usable_key(api_key)
        self._begin_seconds = timeout_seconds * (max_retries + 1)
        self._client = _connect(self._key, base_url, max_retries, timeout_seconds)
        self._closed = False

    async def complete(self, request: ModelRequest, on_text: TextSink | None = None) -> ModelReply:
        """One turn; see `Model`. What *on_text* itself raises ends the turn and comes out as it is."""
        if self._closed:
            raise Unavailable("This connection to the Anthropic API is closed")
        body, prefix = encode(request)
        arrival = Arrival()
        async with AsyncExitStack() as stack:
            stream = await self._begin(stack, body)
            async with aclosing(self._texts(stream, arrival)) as texts:
                async for text in texts:
                    if on_text is not None:
                        on_text(text)
            await _drain(stream)
            with self._reading(stream, arrival):
                return arrival.reply(stream.current_message_snapshot, stream.request_id, prefix)

    async def close(self) -> None:
        """Release connections. Idempotent."""
        self._closed = True
        await self._client.close()

    async def _begin(self, stack: AsyncExitStack, body: dict[str, Any]) -> AsyncMessageStream[None]:
        from anthropic import APIError

        try:
            # Bounds the sum: the API may ask for a wait of any length before a retry.
            with anyio.fail_after(self._begin_seconds):
                return await stack.enter_async_context(self._client.messages.stream(**body))
        except APIError as error:
            # Not chained: the SDK's error holds the request, and the request holds the key.
            raise ERRORS.from_request(error, self._key) from None
        except TimeoutError:
            raise ERRORS.no_answer() from None

    async def _texts(self, stream: AsyncMessageStream[None], arrival: Arrival) -> AsyncGenerator[str, None]:
        with self._reading(stream, arrival):
            while not arrival.finished:
                event = await anext(stream, None)
                if event is None:
                    raise EOFError("the stream ended before the reply did")
                if text := arrival.take(event):
                    yield text

    @contextmanager
    def _reading(self, stream: AsyncMessageStream[None], arrival: Arrival) -> Generator[None, None, None]:
        # Whatever the bytes of a broken reply make the SDK or us raise, it is the reply that is broken.
        try:
            yield
        except Exception as error:
            raise ERRORS.from_stream(error, self._key, stream.request_id, arrival.characters) from None


async def _drain(stream: AsyncMessageStream[None]) -> None:
    # The reply is whole; reading the end of the body only lets the connection be used again.
    with anyio.move_on_after(_DRAIN_SECONDS), suppress(Exception):
        await stream.until_done()


def _usable_key(given: str | None) -> str:
    key = (given or os.environ.get(ERRORS.key_variable) or "").strip()
    # Anything else cannot stand in a header, and would come back as an error that quotes it.
    if not (key and key.isascii() and key.isprintable()):
        raise ERRORS.missing_key()
    return key


def _connect(key: str, base_url: str | None, max_retries: int, timeout_seconds: float) -> AsyncAnthropic:
    try:
        import anthropic
    except ImportError as error:
        raise ERRORS.missing_sdk() from error
    timeout = anthropic.Timeout(timeout_seconds, connect=min(timeout_seconds, _CONNECT_SECONDS))
    return anthropic.AsyncAnthropic(api_key=key, base_url=base_url, max_retries=max_retries, timeout=timeout)
