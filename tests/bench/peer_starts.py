"""P9 and P15 beside peers: from nothing to the first search, what is resident then, what idling costs, and an index
made anew by those that have one beside their files."""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from freshness import cpu_seconds, until_whole
from measure import Row, figures
from peers import Ours, Peer
from stdio_pipe import Pipe, opened
from vaults import Prose

START_SECONDS = 120.0
NOTES = 100


async def starts(peer: Peer, folder: Path, quick: bool, rows: list[Row]) -> None:
    """P9, with `NOTES` notes in each store, started in turn; and P15's idling, both at once."""
    ours = Ours()
    sides = {"us": (ours, folder / "us"), "them": (peer, folder / "them")}
    for each, data in sides.values():
        await _filled(each, data)
    times, idle_seconds = (2, 2.0) if quick else (7, 15.0)
    took: dict[str, list[float]] = {"us": [], "them": []}
    held: dict[str, list[float]] = {"us": [], "them": []}
    for index in range(times):
        for name, (each, data) in sides.items():
            began = time.perf_counter()
            async with _searched(each, data) as pipe:
                if index:
                    took[name].append((time.perf_counter() - began) * 1000)
                    held[name].append(sum(_resident_mib(process) for process in _family(pipe.pid)))
    beside = f"beside {peer.name}"
    for what, unit, samples in (("cold start to the first search", "ms", took), ("resident after it", "MiB", held)):
        us, them = figures(samples["us"]), figures(samples["them"])
        target = f"below it; {len(samples['us'])} starts each, {NOTES} notes"
        rows.append(Row("P9", f"{what}, {beside}", us.p50, them.p50, them.p50, unit, target, us.p99))
    idle = await _idling(sides["us"], sides["them"], idle_seconds)
    rows.append(Row("P15", f"nobody calls, {beside}", *idle, max(0.5, idle[1]), "% of a core", "≤ 0.5 %, or below it"))


async def rebuilding(peer: Peer, folder: Path, quick: bool, rows: list[Row]) -> None:
    """P15 for a peer with an index beside its files: as many files, the index made anew, both starts included."""
    count = 60 if quick else 400
    ours, mine, theirs = Ours(), folder / "mine", folder / "theirs"
    if type(peer).rebuild is Peer.rebuild:
        return
    peer.seed(theirs, count)
    ours.seed(mine, count)
    began = time.perf_counter()
    await anyio.to_thread.run_sync(peer.rebuild, theirs)
    them = (time.perf_counter() - began) * 1000
    shutil.rmtree(mine / ".argosy", ignore_errors=True)
    began = time.perf_counter()
    async with opened(ours.command(mine), ours.environment(mine), mine) as pipe:
        us = (await until_whole(pipe) - began) * 1000
    rows.append(Row("P15", f"index of {count} files made anew, beside {peer.name}", us, them, them, "ms", "below it"))


async def _filled(peer: Peer, data: Path) -> None:
    """`NOTES` notes there: put by hand where that can be done, else written."""
    data.parent.mkdir(parents=True, exist_ok=True)
    seeded = peer.seed(data, NOTES)
    data.mkdir(exist_ok=True)
    prose = Prose(2)
    async with _searched(peer, data) as pipe:
        for number in range(seeded, NOTES):
            await pipe.call(*peer.write(3 * 10**6 + number, " ".join(prose.words(90))))


@asynccontextmanager
async def _searched(peer: Peer, data: Path) -> AsyncGenerator[Pipe]:
    """The server of *data*, once it answered a search."""
    async with opened(peer.command(data), peer.environment(data), data, START_SECONDS) as pipe:
        await pipe.call(*peer.search("badra"), seconds=START_SECONDS)
        yield pipe


async def _idling(us: tuple[Peer, Path], them: tuple[Peer, Path], seconds: float) -> tuple[float, float]:
    """Percent of a core that each uses while nobody calls, once it had some seconds to come to rest."""
    async with _searched(*us) as ours, _searched(*them) as theirs:
        await anyio.sleep(5)
        pids = (ours.pid, theirs.pid)
        before = [_used_seconds(pid) for pid in pids]
        began = time.perf_counter()
        await anyio.sleep(seconds)
        took = time.perf_counter() - began
        mine, other = (100 * (_used_seconds(pid) - had) / took for pid, had in zip(pids, before, strict=True))
    return mine, other


def _used_seconds(pid: int) -> float:
    return sum(cpu_seconds(process) for process in _family(pid))


def _family(pid: int) -> list[int]:
    """The process and those that it started, as many as there are."""
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text(encoding="ascii").split()
    ]
    return [pid, *(process for child in children for process in _family(child))]


def _resident_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0) / 1024
