"""How the running fleet is: for ``status``, for ``/health/live`` and ``/health/ready``, for ``/metrics``."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import anyio

from argosy_core.clock import Clock
from argosy_core.serving.http import bind, local_hosts, parse_address
from argosy_host.webhooks import ROUTE
from argosy_host.worker import Work

if TYPE_CHECKING:
    from argosy_host.door import Door
    from argosy_host.webhooks import Webhooks

END_SECONDS = 15.0  # how long stopping parts may take


class Metrics:
    """Counts of one running process."""

    def __init__(self, clock: Clock) -> None:
        self.pid = os.getpid()
        self.ready = False
        self.work: list[Work] = []
        self.door: Door | None = None
        self._clock = clock
        self._started = clock.monotonic()
        self._running = 0
        self._ended = anyio.Event()

    async def track(self, part: Callable[[anyio.Event], Awaitable[None]], stop: anyio.Event) -> None:
        """Run a part until it ends; `workers_ended` waits for all of them."""
        self._running += 1
        try:
            await part(stop)
        finally:
            self._running -= 1
            if self._running == 0:
                self._ended.set()

    async def workers_ended(self) -> None:
        """Wait for every tracked part, at most some seconds."""
        with anyio.move_on_after(END_SECONDS):
            if self._running:
                await self._ended.wait()

    def as_json(self) -> dict[str, Any]:
        """All of it as one object."""
        return {
            "pid": self.pid,
            "ready": self.ready,
            "uptime_s": round(self._clock.monotonic() - self._started, 1),
            "clients": self.door.clients if self.door else 0,
            "workers": len(self.work),
            "running": [work.current for work in self.work if work.current],
            "done": sum(work.done for work in self.work),
            "failed": sum(work.failed for work in self.work),
            "problems": [problem for work in self.work for problem in work.problems[-5:]],
        }

    def as_text(self) -> str:
        """The same in the text format of Prometheus."""
        found = self.as_json()
        rows = {
            "argosy_ready": int(found["ready"]),
            "argosy_uptime_seconds": found["uptime_s"],
            "argosy_clients": found["clients"],
            "argosy_workers": found["workers"],
            "argosy_items_running": len(found["running"]),
            "argosy_items_done_total": found["done"],
            "argosy_items_failed_total": found["failed"],
        }
        return "".join(f"{name} {value}\n" for name, value in rows.items())


async def serve_health(
    address: str,
    metrics: Metrics,
    hooks: Webhooks | None = None,
    *,
    task_status: anyio.abc.TaskStatus[str] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Answer on loopback until cancelled; reports its URL once the port is open. Raises Unavailable (port taken)."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def live(_: Request) -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    async def ready(_: Request) -> PlainTextResponse:
        return PlainTextResponse("ready\n" if metrics.ready else "not ready\n", 200 if metrics.ready else 503)

    async def numbers(_: Request) -> PlainTextResponse:
        return PlainTextResponse(metrics.as_text())

    routes = [Route("/health/live", live), Route("/health/ready", ready), Route("/metrics", numbers)]
    routes += [Route(ROUTE, hooks.answer, methods=["POST"])] if hooks is not None else []
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=local_hosts())
    with bind(parse_address(address)) as bound:
        server = _Quiet(
            uvicorn.Config(Starlette(routes=routes, middleware=[hosts]), log_level="warning", lifespan="off")
        )
        task_status.started(f"http://{_shown(bound)}")
        await server.serve(sockets=[bound])


class _Quiet:
    """uvicorn without its own signal handlers: the process has one owner of signals."""

    def __init__(self, config: Any) -> None:
        import uvicorn

        class Server(uvicorn.Server):
            def capture_signals(self) -> Any:
                from contextlib import nullcontext

                return nullcontext()

        self._server = Server(config)

    async def serve(self, sockets: list[socket.socket]) -> None:
        await self._server.serve(sockets=sockets)


def _shown(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
