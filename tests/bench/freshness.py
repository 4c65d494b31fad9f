"""The index beside the files: opened, made anew, idle, and the time until it has what a person edited."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from cases import ENVIRONMENT, HOST
from measure import Row, figures
from stdio_pipe import Pipe, opened
from vaults import make_agent

STEP_SECONDS = 0.02
STILL_SECONDS, RESTED_SECONDS = 15, 3
UNWRITTEN = "zyzzyva"  # finding nothing costs nothing, and a question waits for the index a moment anyway


def indexing(folder: Path, quick: bool) -> list[Row]:
    """P12 and P15: over stdio, of one server that is started as a client starts it."""
    rows: list[Row] = []
    for size, limit_s in ((300, 10.0),) if quick else ((10_000, 10.0), (100_000, 60.0)):
        rows += anyio.run(_indexing, folder, size, limit_s, 3 if quick else 20, 2.0 if quick else 30.0)
    return rows


async def _indexing(folder: Path, size: int, limit_s: float, times: int, idle_s: float) -> list[Row]:
    vault = make_agent(folder / str(size), size)
    reading = _read_all(vault) * 1000
    async with _server(vault) as (pipe, began):
        built = (await until_whole(pipe) - began) * 1000
    async with _server(vault) as (pipe, began):
        ready = time.perf_counter()
        answered = (await _until_answered(pipe) - began) * 1000
        compared = (await until_whole(pipe) - ready) * 1000
        await _until_settled(pipe)
        await _until_still(pipe.pid)
        idle = await _share_of_a_core(pipe.pid, idle_s)
        edits = figures([await _until_found(pipe, vault, number) for number in range(times)])
    return [
        Row("P15", f"index of {size} notes made anew, start included", built, reading, limit_s * 1000, "ms",
            f"≤ {limit_s:g} s; reference: reading them"),
        Row("P15", f"compared with the {size} files, nothing changed", compared, reading, 1000, "ms", "≤ 1 s"),
        Row("P15", f"a start with an index of {size}, to the first answer", answered, reading, 2000, "ms", "≤ 2 s"),
        Row("P15", f"a server of {size} notes that nobody calls", idle, 0.5, 0.5, "% of a core", "≤ 0.5 %"),
        Row("P12", f"an edit until found, {size} notes", edits.p50, 1000, 1000, "ms", "≤ 1 s", edits.p99),
    ]  # fmt: skip


@asynccontextmanager
async def _server(vault: Path) -> AsyncGenerator[tuple[Pipe, float]]:
    command = [*HOST, "serve", "memory", "--vault", str(vault), "--agent", "bench"]
    began = time.perf_counter()
    async with opened(command, ENVIRONMENT, Path(__file__).parent) as pipe:
        yield pipe, began


async def _until_answered(pipe: Pipe) -> float:
    await _asked(pipe)
    return time.perf_counter()


async def until_whole(pipe: Pipe) -> float:
    """The time at which a search had nothing to say of an index behind the files."""
    while (await _asked(pipe))["note"]:
        await anyio.sleep(STEP_SECONDS)
    return time.perf_counter()


async def _until_settled(pipe: Pipe) -> None:
    """Wait until the server hears of edits and has compared its index with the files once more since then."""
    while not (found := await _asked(pipe))["explain"]["index"]["watching"] or found["note"]:
        await anyio.sleep(STEP_SECONDS)


async def _until_still(pid: int) -> None:
    """Wait until what a start does once, sweeping for drafts after two seconds, is done. A server that never rests is
    not waited for."""
    rested = 0
    for _ in range(STILL_SECONDS):
        before = cpu_seconds(pid)
        await anyio.sleep(1)
        rested = rested + 1 if cpu_seconds(pid) == before else 0
        if rested == RESTED_SECONDS:
            return


async def _asked(pipe: Pipe) -> dict[str, Any]:
    result = await pipe.call("memory_search", {"query": UNWRITTEN, "explain": True})
    found: dict[str, Any] = result["structuredContent"]
    return found


async def _until_found(pipe: Pipe, vault: Path, number: int) -> float:
    """Milliseconds from an edit to the search that finds it: in place, or by a new file in the old one's place."""
    file = vault / "bench/memory" / f"user_seed_{5 * number}.md"
    word = f"quillwort{number}"
    text = f"{file.read_text(encoding='utf-8')}\n{word}\n"
    began = time.perf_counter()
    if number % 2:
        file.write_text(text, encoding="utf-8")
    else:
        (draft := file.with_suffix(".new")).write_text(text, encoding="utf-8")
        draft.replace(file)
    while not (await pipe.call("memory_search", {"query": word}))["structuredContent"]["hits"]:
        await anyio.sleep(STEP_SECONDS)
    return (time.perf_counter() - began) * 1000


async def _share_of_a_core(pid: int, seconds: float) -> float:
    """Percent of a core that a process uses while nobody calls it."""
    before, began = cpu_seconds(pid), time.perf_counter()
    await anyio.sleep(seconds)
    return 100 * (cpu_seconds(pid) - before) / (time.perf_counter() - began)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _read_all(vault: Path) -> float:
    """Seconds to read every note once."""
    began = time.perf_counter()
    for file in os.scandir(vault / "bench/memory"):
        Path(file.path).read_bytes()
    return time.perf_counter() - began
