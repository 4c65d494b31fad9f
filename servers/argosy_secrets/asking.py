"""Asking a person for a value through an MCP client: by a URL, never by a form, which would pass through the client."""

from __future__ import annotations

from typing import Any, NoReturn

import anyio
from mcp.server.mcpserver import Context
from mcp_types import ElicitRequest, ElicitRequestURLParams, ElicitResult, InputRequiredResult

from argosy_core.errors import Blocked, Unavailable
from argosy_core.ids import Ids
from argosy_core.secrets.secret import check_name
from argosy_secrets.keeper import Change, Keeper
from argosy_secrets.models import Kept
from argosy_secrets.page import PAGE_SECONDS, ValuePage

MODERN = "2026-07-28"
WAIT_SECONDS = 50.0  # of one call: most clients give a call a minute
_QUESTION = "page"


class Asking:
    """The pages that are open, by a number that only the client that asked has."""

    def __init__(self, keeper: Keeper, ids: Ids, page_seconds: float = PAGE_SECONDS) -> None:
        self._keeper = keeper
        self._ids = ids
        self._page_seconds = page_seconds
        self._pages: dict[str, tuple[ValuePage, list[Kept]]] = {}

    async def ask(self, ctx: Context[Any, Any], verb: Change, name: str, run: str | None) -> Kept | InputRequiredResult:
        """The value that a person typed, kept; or what the client must do first. Raises Unavailable without URLs."""
        check_name(name)
        self._forget_closed()
        known = self._pages.get(ctx.request_state or "")
        if known is not None and known[0].name == name:
            return await self._answered(ctx.request_state or "", ctx)
        _need_urls(ctx, verb, name)
        number, url = await self._open(verb, name, run)
        message = f"Type the value of {name} into a page on this machine; it is open for {self._page_seconds:g} seconds"
        if (ctx.protocol_version or "") >= MODERN:
            params = ElicitRequestURLParams(message=message, url=url)
            return InputRequiredResult(input_requests={_QUESTION: ElicitRequest(params=params)}, request_state=number)
        answer = await ctx.elicit_url(message, url, number)
        if answer.action != "accept":
            self._declined(number, name)
        kept = await self._wait(number)
        await ctx.session.send_elicit_complete(number)
        return kept

    async def close(self) -> None:
        """Close every page."""
        for page, _ in self._pages.values():
            page.close()
        self._pages.clear()

    async def _open(self, verb: Change, name: str, run: str | None) -> tuple[str, str]:
        results: list[Kept] = []

        async def keep(value: str) -> None:
            # Kept here and not by the call that waits: that may have given up meanwhile.
            results.append(await self._keeper.change(verb, name, value, run))

        page = ValuePage(name, keep, self._ids)
        number = self._ids.random(16).hex()
        self._pages[number] = (page, results)
        return number, await page.open(self._page_seconds)

    async def _answered(self, number: str, ctx: Context[Any, Any]) -> Kept:
        answer = (ctx.input_responses or {}).get(_QUESTION)
        if not isinstance(answer, ElicitResult) or answer.action != "accept":
            self._declined(number, self._pages[number][0].name)
        return await self._wait(number)

    async def _wait(self, number: str) -> Kept:
        page, results = self._pages[number]
        with anyio.move_on_after(min(WAIT_SECONDS, self._page_seconds)):
            await page.submitted.wait()
        if not results:
            self._pages.pop(number)[0].close()
            raise Unavailable(f"nobody typed the value of {page.name} in time", hint=_on_a_terminal("set", page.name))
        del self._pages[number]
        return results[0]

    def _declined(self, number: str, name: str) -> NoReturn:
        self._pages.pop(number)[0].close()
        raise Blocked(f"the person did not want to give the value of {name}", hint="nothing was changed")

    def _forget_closed(self) -> None:
        self._pages = {n: (page, kept) for n, (page, kept) in self._pages.items() if page.is_open or kept}


def _need_urls(ctx: Context[Any, Any], verb: Change, name: str) -> None:
    capabilities = ctx.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    if elicitation is None or elicitation.url is None:
        raise Unavailable("this client cannot show a person a page", hint=_on_a_terminal(verb, name))


def _on_a_terminal(verb: Change, name: str) -> str:
    return f"on a terminal: mcp-host secret {verb} {name}"
