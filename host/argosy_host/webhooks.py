"""Webhooks: an outside system calls ``POST /hooks/PATH``, and the triggers that wait for that path fire.

What is not signed with a trigger's secret is answered alike, whether there is such a trigger or not. Each delivery
fires once, however often it is sent. Its body is checked and then forgotten: a trigger's task is its owner's words, and
what an outside system writes does not become part of them.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import anyio
from mcp_types import CallToolResult

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError, InvalidArgument, TooLarge, Unauthenticated, Unavailable
from argosy_core.secrets.secret_store import SecretStore
from argosy_core.secrets.signatures import check_signature, delivery_of
from argosy_core.serving.server import ArgosyServer
from argosy_host.results import outcome_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

MAX_BODY_BYTES = 1 << 20
BODY_SECONDS = 10.0
MAX_AT_ONCE = 8
ROUTE = "/hooks/{path:path}"
PAGE = 500
_STATUS: Mapping[type[ArgosyError], int] = {InvalidArgument: 400, Unauthenticated: 401, TooLarge: 413}

logger = logging.getLogger(__name__)


class Webhooks:
    """Answers deliveries; *scheduler* is a server of this process that takes its caller for an operator."""

    def __init__(self, scheduler: ArgosyServer, secrets: SecretStore, clock: Clock) -> None:
        self._scheduler = scheduler
        self._secrets = secrets
        self._clock = clock
        self._room = anyio.CapacityLimiter(MAX_AT_ONCE)

    async def answer(self, request: Request) -> Response:
        """The answer to one delivery: 202 when it fired or had fired before."""
        from starlette.responses import PlainTextResponse

        if "origin" in request.headers:  # a web page of somebody's browser
            return PlainTextResponse("no\n", 403)
        try:
            async with self._room:
                body = await _body(request)
                fired = await self.deliver(request.path_params["path"].strip("/"), request.headers, body)
        except TimeoutError:
            return PlainTextResponse("too slow\n", 408)
        except ArgosyError as error:
            logger.warning("a webhook was not taken: %s", error)
            return PlainTextResponse(f"{error.code}\n", _STATUS.get(type(error), 503))
        return PlainTextResponse(f"{fired}\n", 202)

    async def deliver(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        """Fire what waits for *path* and whose secret signed *body*; how many triggers that is.

        Raises InvalidArgument (no id), Unauthenticated (nothing fits), Unavailable.
        """
        delivery, fits = delivery_of(headers), list[str]()
        async for name, secret_name in self._triggers(path):
            try:
                secret = await self._secrets.resolve(secret_name)
                check_signature(secret, headers, body, self._clock.now().timestamp())
            except ArgosyError as error:
                logger.warning("%s does not take a delivery: %s", name, error.message)
                continue
            fits.append(name)
        if not fits:
            raise Unauthenticated("no trigger takes this delivery", hint="check path and secret")
        for name in fits:
            await self._call("schedule_fire", {"name": name, "delivery": delivery})
        return len(fits)

    async def _triggers(self, path: str) -> AsyncIterator[tuple[str, str]]:
        """Name and secret of each trigger that waits for *path* and is on."""
        cursor: str | None = None
        while True:
            page = await self._call("schedule_list", {"limit": PAGE, **({"cursor": cursor} if cursor else {})})
            for schedule in page["items"]:
                hook = schedule["when"].get("webhook")
                if hook and schedule["enabled"] and hook["path"] == path:
                    yield schedule["name"], hook["secret_name"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    async def _call(self, tool: str, arguments: dict[str, Any]) -> Mapping[str, Any]:
        result = await self._scheduler.call_tool(tool, arguments)
        outcome = outcome_of(result) if isinstance(result, CallToolResult) else None
        if outcome is None or outcome.is_error or outcome.structured is None:
            raise outcome.error() if outcome is not None else Unavailable("the scheduler did not answer")
        return outcome.structured


async def _body(request: Request) -> bytes:
    """The whole body. Raises TooLarge, TimeoutError."""
    data = bytearray()
    with anyio.fail_after(BODY_SECONDS):
        async for chunk in request.stream():
            data += chunk
            if len(data) > MAX_BODY_BYTES:
                raise TooLarge(f"a delivery has at most {MAX_BODY_BYTES} bytes")
    return bytes(data)
