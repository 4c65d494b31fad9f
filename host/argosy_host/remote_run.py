"""A run that the running process does for somebody's terminal: what it tells goes back line by line, then the result.

Each line is a JSON object: ``{"tell": NAME, "args": […]}`` is a call of `Progress`, ``{"result": …}`` or
``{"error": …}`` ends it. A terminal that goes away interrupts its run.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from argosy_core.errors import ArgosyError, InvalidArgument, PermissionDenied
from argosy_core.types import LOCAL_PRINCIPAL
from argosy_host.progress import Progress
from argosy_host.providers.keys import reachable
from argosy_host.runs import Limits, Origin, RunResult
from argosy_host.session import RunOptions, Shared, run_task

Work = Callable[[Progress], Awaitable[Mapping[str, Any]]]


async def serve_run(stream: SocketStream, rest: BufferedByteReceiveStream, options: RunOptions, shared: Shared) -> None:
    """Do the run of *options* for the terminal behind *stream*."""

    async def run(progress: Progress) -> Mapping[str, Any]:
        return ended(await run_task(options, progress, shared=shared))

    await serve_told(stream, rest, run)


async def serve_told(stream: SocketStream, rest: BufferedByteReceiveStream, work: Work) -> None:
    """Do *work* for the terminal behind *stream*, and tell it how that goes and what comes of it."""
    told = _Told()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_send, told, stream)
        tasks.start_soon(_until_left, rest, tasks.cancel_scope)
        try:
            told.end({"result": await work(told)})
        except ArgosyError as error:
            told.end({"error": {"code": error.code, "message": error.message, "hint": error.hint}})
        await told.sent.wait()
        tasks.cancel_scope.cancel()


def options_of(hello: Mapping[str, Any], shared: Shared) -> RunOptions:
    """The run that a terminal asks for. Raises InvalidArgument, PermissionDenied (it must run in its own process)."""
    if hello.get("keys") != reachable():
        # Which model answers must not depend on who happens to be up.
        raise PermissionDenied("the running process has other keys")
    try:
        limits = Limits(iterations=int(hello["max_turns"]), active_seconds=float(hello["max_seconds"]))
        return RunOptions(
            vault=shared.store.root,
            agent=str(hello["agent"]),
            task=str(hello["task"]),
            model=hello.get("model"),
            profile="full" if hello.get("profile") == "full" else "default",
            limits=limits,
            origin=Origin("manual", principal=LOCAL_PRINCIPAL),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise InvalidArgument("no proper request for a run") from exc


def ended(result: RunResult) -> dict[str, Any]:
    """A result as the terminal shows it."""
    return {**result.as_json(), "hint": str(result.error) if result.error else None}


class _Told(Progress):
    """Keeps lines until they are sent; a run never waits for a slow terminal."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.more = anyio.Event()
        self.sent = anyio.Event()
        self.is_over = False

    def end(self, message: Mapping[str, Any]) -> None:
        self._add(message)
        self.is_over = True
        self.more.set()

    def _add(self, message: Mapping[str, Any]) -> None:
        self.lines.append(json.dumps(message, ensure_ascii=False).encode() + b"\n")
        self.more.set()

    def _tell(self, name: str, *arguments: Any) -> None:
        self._add({"tell": name, "args": arguments})

    def started(self, run: str, agent: str, model: str, tools: int) -> None:
        self._tell("started", run, agent, model, tools)

    def read(self, names: list[str], chars: int) -> None:
        self._tell("read", names, chars)

    def thinking(self, iteration: int) -> None:
        self._tell("thinking", iteration)

    def text(self, text: str) -> None:
        self._tell("text", text)

    def calling(self, tool: str, arguments: Mapping[str, Any]) -> None:
        self._tell("calling", tool, dict(arguments))

    def judged(self, tool: str, verdict: str, reason: str) -> None:
        self._tell("judged", tool, verdict, reason)

    def returned(self, tool: str, milliseconds: float, is_error: bool, summary: str) -> None:
        self._tell("returned", tool, milliseconds, is_error, summary)

    def spent(self, input_tokens: int, output_tokens: int, cost_usd: float) -> None:
        self._tell("spent", input_tokens, output_tokens, cost_usd)

    def paused(self) -> None:
        self._tell("paused")

    def problem(self, text: str) -> None:
        self._tell("problem", text)


async def _send(told: _Told, stream: SocketStream) -> None:
    while not (told.is_over and not told.lines):
        await told.more.wait()
        lines, told.lines = told.lines, []
        if not told.is_over:
            told.more = anyio.Event()
        if lines:
            await stream.send(b"".join(lines))
    told.sent.set()


async def _until_left(rest: BufferedByteReceiveStream, scope: anyio.CancelScope) -> None:
    try:
        while True:
            await rest.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        scope.cancel()
