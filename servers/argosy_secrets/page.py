"""A page on this machine that takes one value, once: for a client that shows a person a URL.

The value goes from the person's browser to this process and to nobody in between. The address holds 256 random bits,
listens on the loopback interface only, and is gone after one use or when its time is up.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

from argosy_core.errors import ArgosyError
from argosy_core.ids import Ids

PAGE_SECONDS = 120.0
_REQUEST_SECONDS = 10.0
_MAX_HEAD = 16 * 1024
_MAX_BODY = 64 * 1024
_HEADERS = (
    "Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\nReferrer-Policy: same-origin\r\n"
    "X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nCross-Origin-Opener-Policy: same-origin\r\n"
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'\r\nConnection: close\r\n"
)
_STYLE = (
    "<style>body{font:16px system-ui;max-width:32rem;margin:4rem auto;padding:0 1rem}"
    "input,button{font:inherit;padding:.5rem}"
    "input{width:100%;box-sizing:border-box;margin:1rem 0}</style>"
)
Keep = Callable[[str], Awaitable[None]]


class ValuePage:
    """Serves until `submitted` is set or `close` is called. *keep* takes the value; what it raises the person reads."""

    def __init__(self, name: str, keep: Keep, ids: Ids) -> None:
        self.name = name
        self.submitted = asyncio.Event()
        self._keep = keep
        self._path = "/" + _token(ids)
        self._csrf = _token(ids)
        self._host = ""
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._taken = False

    async def open(self, seconds: float = PAGE_SECONDS) -> str:
        """Start to serve for *seconds*; returns the address."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_MAX_HEAD)
        self._host = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self._timer = asyncio.get_running_loop().call_later(seconds, self.close)
        return f"http://{self._host}{self._path}"

    def close(self) -> None:
        """Stop listening. Idempotent."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def is_open(self) -> bool:
        return self._server is not None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                status, text = await self._answer(reader)
                body = text.encode()
                head = f"HTTP/1.1 {status}\r\n{_HEADERS}Content-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # not a browser, or one that left: it gets no answer
        finally:
            writer.close()
        if self.submitted.is_set():
            self.close()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[str, str]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ", 2)
        headers = [line.partition(":") for line in head[1:] if line]
        fields = {name.strip().lower(): value.strip() for name, _, value in headers}
        if len(fields) != len(headers) or fields.get("host") != self._host:
            return "421 Misdirected Request", ""  # another name for this machine: somebody else's page asks
        if not hmac.compare_digest(target.encode(), self._path.encode()):
            return "404 Not Found", ""
        if method == "GET":
            return "200 OK", self._form("")
        if method != "POST" or "transfer-encoding" in fields:
            return "405 Method Not Allowed", ""
        if fields.get("origin", f"http://{self._host}") != f"http://{self._host}":
            return "403 Forbidden", ""
        if fields.get("sec-fetch-site", "same-origin") != "same-origin":
            return "403 Forbidden", ""
        size = int(fields.get("content-length", "0"))
        if not 0 < size <= _MAX_BODY:
            return "413 Content Too Large", ""
        return await self._take((await reader.readexactly(size)).decode())

    async def _take(self, body: str) -> tuple[str, str]:
        form = parse_qs(body, keep_blank_values=True, max_num_fields=4)
        if not hmac.compare_digest("".join(form.get("csrf", [])).encode(), self._csrf.encode()):
            return "403 Forbidden", ""
        if self._taken:
            return "410 Gone", ""
        self._taken = True
        try:
            await self._keep("".join(form.get("value", [])))
        except ArgosyError as error:
            self._taken = False
            return "200 OK", self._form(str(error))
        self.submitted.set()
        return "200 OK", _html("<p>Done. You can close this page.</p>")

    def _form(self, problem: str) -> str:
        return _html(
            f"<h1>{self.name}</h1><p>The value goes to Argosy on this machine, and to no model.</p>"
            f"<p><strong>{_escaped(problem)}</strong></p>"
            f'<form method="post" action="{self._path}"><input type="hidden" name="csrf" value="{self._csrf}">'
            '<input type="password" name="value" autocomplete="off" autofocus required aria-label="Value">'
            "<button>Keep it</button></form>"
        )


def _html(body: str) -> str:
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Argosy</title>{_STYLE}{body}</html>'


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _token(ids: Ids) -> str:
    return base64.urlsafe_b64encode(ids.random(32)).decode().rstrip("=")
