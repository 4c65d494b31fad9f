"""P3: of what was acknowledged to many writers at once, how much is there afterwards."""

from __future__ import annotations

import asyncio
import functools
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from measure import Row
from peers import Ours
from stdio_pipe import Pipe, opened
from vaults import make_agent

START_SECONDS = 30.0
IN_FLIGHT = 8
PROCESSES = 4
ENTRY = re.compile(r"entry (\d+)\.")
Write = Callable[[int], Any]


async def write_all(writers: Sequence[Write], numbers: range, in_flight: int, seconds: float) -> tuple[set[int], str]:
    """Write every number, *in_flight* at once through each writer in turn; what was acknowledged, and the first error.

    After *seconds* no further write is begun.
    """
    waiting = iter(numbers)
    done: set[int] = set()
    problems: list[str] = []
    deadline = time.monotonic() + seconds

    async def work(write: Write) -> None:
        for number in waiting:
            if time.monotonic() > deadline:
                return
            try:
                await write(number)
                done.add(number)
            except Exception as error:
                problems.append(str(error)[:150])

    await asyncio.gather(*(work(write) for write in writers for _ in range(in_flight)))
    return done, problems[0] if problems else ""


def keeping(folder: Path, quick: bool) -> list[Row]:
    """Ours: 8 clients of one process over HTTP, and 4 server processes on one vault; notes, then one day's journal."""
    each = 100 if quick else 4_500
    entries = 50 if quick else 500
    rows = [
        anyio.run(functools.partial(_clients, folder / "clients", each)),
        anyio.run(functools.partial(_processes, folder / "processes", each)),
        anyio.run(functools.partial(_journals, folder / "journals", 2 * entries)),
    ]
    lost = sum(row.ours for row in rows)
    total = sum(row.reference for row in rows)
    return [*rows, Row("P3", f"of {total:.0f} writes lost in all", lost, total, 0, "writes", "none")]


async def _clients(folder: Path, count: int) -> Row:
    ours = Ours()
    ours.seed(folder, 100)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(_http_server("memory", folder))
        clients = [await stack.enter_async_context(Client(url, cache=None)) for _ in range(IN_FLIGHT)]

        def through(client: Client) -> Write:
            async def write(number: int) -> None:
                tool, arguments = ours.write(number, "said")
                result = await client.call_tool(tool, arguments)
                assert not result.is_error, result.content

            return write

        done, problem = await write_all([through(client) for client in clients], range(count), 1, 600)
    return _row("8 clients in one process", count, done, ours.kept(folder), problem)


async def _processes(folder: Path, count: int) -> Row:
    ours = Ours()
    ours.seed(folder, 100)
    done, problem = await through_processes(
        ours.command(folder), ours.environment(folder), folder, ours.write, count, 600
    )
    return _row("4 server processes, one vault", count, done, ours.kept(folder), problem)


async def _journals(folder: Path, count: int) -> Row:
    ours = Ours()
    make_agent(folder, 1)
    command = [sys.executable, "-m", "argosy_host", "serve", "journal", "--vault", str(folder), "--agent", "bench"]

    def append(number: int, text: str) -> tuple[str, dict[str, Any]]:
        return "journal_append", {"text": f"{text} entry {number}."}

    done, problem = await through_processes(command, ours.environment(folder), folder, append, count, 600)
    days = "".join(path.read_text(encoding="utf-8") for path in (folder / "bench/journal").rglob("*.md"))
    found = [int(number) for number in ENTRY.findall(days)]
    assert len(found) == len(set(found)), "an entry stands twice"
    return _row("4 processes, one day's journal", count, done, set(found), problem)


async def through_processes(
    command: Sequence[str],
    environment: Any,
    folder: Path,
    call: Callable[[int, str], tuple[str, dict[str, Any]]],
    count: int,
    seconds: float,
) -> tuple[set[int], str]:
    """Write through 4 processes of *command*, 2 calls in flight at each."""
    async with AsyncExitStack() as stack:
        pipes = [await stack.enter_async_context(opened(command, environment, folder)) for _ in range(PROCESSES)]

        def through(pipe: Pipe) -> Write:
            async def write(number: int) -> None:
                tool, arguments = call(number, "said")
                await pipe.call(tool, arguments)

            return write

        return await write_all([through(pipe) for pipe in pipes], range(count), 2, seconds)


def _row(what: str, asked: int, done: set[int], kept: set[int], problem: str) -> Row:
    """What was asked for and is not there counts as lost, acknowledged or not: the promise is all of them."""
    lost = asked - len(done & kept)
    detail = f"none; {len(done)} acknowledged, {len(done & kept)} of them kept"
    return Row(
        "P3", f"{what}: lost of {asked}", lost, asked, 0, "writes", f"{detail}{'; ' + problem if problem else ''}"
    )


@asynccontextmanager
async def _http_server(name: str, vault: Path) -> AsyncGenerator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [sys.executable, "-m", "argosy_host", "serve", name, "--vault", str(vault), "--agent", "bench"]
    process = subprocess.Popen(
        [*command, "--http", address],
        env={**os.environ, **Ours().environment(vault)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with anyio.fail_after(START_SECONDS):
            while not await _answers(address):
                await anyio.sleep(0.1)
        yield f"http://{address}/mcp"
    finally:
        process.terminate()
        await anyio.to_thread.run_sync(process.wait, 30)


async def _answers(address: str) -> bool:
    host, port = address.split(":")
    try:
        stream = await anyio.connect_tcp(host, int(port))
    except OSError:
        return False
    await stream.aclose()
    return True
