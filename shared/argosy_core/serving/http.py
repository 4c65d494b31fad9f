"""Streamable HTTP: one server at ``/mcp``, a gateway at ``/mcp`` with each of its servers at ``/<name>/mcp``.

Only loopback is served, with authentication or without: nothing here is encrypted. The Host header must be exactly this
address, and so must an Origin: no web page of another address, not even of another port of this machine, may call
tools.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp.server import MCPServer
from mcp.server.lowlevel import Server
from mcp.server.transport_security import TransportSecuritySettings

from argosy_core.errors import InvalidArgument, PermissionDenied, Unavailable

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.routing import Route

    from argosy_core.serving.admission import Admission

AnyServer = MCPServer[Any] | Server[Any]


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 takes a free one."""

    host: str
    port: int

    @property
    def origin(self) -> str:
        """``http://HOST:PORT``, before every path here."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """``HOST:PORT``, ``:PORT`` or ``[v6]:PORT``. Raises InvalidArgument otherwise, PermissionDenied beyond loopback."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise InvalidArgument(f"not an address: {text}", hint="write HOST:PORT, for example 127.0.0.1:8750")
    if not is_loopback(host):
        raise PermissionDenied(
            f"{host} can be reached from other machines, and nothing that is said here, tokens included, is encrypted",
            hint="listen on 127.0.0.1",
        )
    return Address(host, int(port))


def is_loopback(host: str) -> bool:
    """Whether *host*, a name or an address without brackets, is this machine and nobody else can take its place."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def build_app(
    main: AnyServer, parts: Mapping[str, AnyServer], address: Address, admission: Admission | None = None
) -> Starlette:
    """The ASGI application: *main* at ``/mcp``, each of *parts* at ``/<name>/mcp``.

    With *admission*, only for those whom it lets in.
    """
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    hosts = _hosts(address)
    security = TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=[f"http://{host}" for host in hosts])
    routes: list[Any] = []
    managers: list[Callable[[], Any]] = []
    for path, server in {"/mcp": main, **{f"/{name}/mcp": part for name, part in parts.items()}}.items():
        # Never as JSON alone: progress on the way, and questions to a client of the older era, go before the answer.
        app = server.streamable_http_app(
            streamable_http_path=path, transport_security=security, host=address.host, json_response=False
        )
        routes += app.routes if admission is None else _admitted(app, path, address, admission)
        managers.append(server.session_manager.run)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            for run in managers:
                await stack.enter_async_context(run())
            yield

    async def alive(_: Any) -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    return Starlette(routes=[*routes, Route("/health/live", alive)], lifespan=lifespan)


def _admitted(app: Starlette, path: str, address: Address, admission: Admission) -> list[Route]:
    from starlette.routing import Route

    from argosy_core.serving.admission import guarded, metadata_routes

    url = f"{address.origin}{path}"
    return [Route(path, guarded(app, url, admission)), *metadata_routes(url, admission)]


def _hosts(address: Address) -> list[str]:
    names = {address.host, "localhost", "127.0.0.1", "::1"}
    return [f"[{name}]:{address.port}" if ":" in name else f"{name}:{address.port}" for name in sorted(names)]


async def serve_http(
    main: AnyServer,
    parts: Mapping[str, AnyServer],
    address: Address,
    started: Callable[[str], None] = lambda _: None,
    admission: Admission | None = None,
) -> None:
    """Serve until interrupted; *started* is told the URL once the port is open.

    Raises Unavailable when the port is taken.
    """
    import uvicorn

    bound = bind(address)
    actual = Address(address.host, bound.getsockname()[1])
    app = build_app(main, parts, actual, admission)
    config = uvicorn.Config(app, log_level="warning", lifespan="on", timeout_graceful_shutdown=5)
    started(f"{actual.origin}/mcp")
    with bound:
        await uvicorn.Server(config).serve(sockets=[bound])


def local_hosts() -> list[str]:
    """Names under which this machine is reached from itself."""
    return ["127.0.0.1", "localhost", "[::1]", "::1"]


def bind(address: Address) -> socket.socket:
    """A listening socket at *address*. Raises Unavailable when it is taken."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # Unnamed, asyncio does not take it for TCP, and the second piece of an answer waits some 40 ms for the receipt of
    # the first.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((address.host, address.port))
        found.listen(128)
    except OSError as exc:
        found.close()
        raise Unavailable(f"cannot listen on {address.host}:{address.port}", hint="is it in use already?") from exc
    return found
