"""P1, P2, P3, P9, P12 and P15 beside peers: the same calls in turn, in the same minute, on the same disk.

Sizes are bounded by time: a peer is filled for at most a minute, and its row says how far it came. Ours always has the
full size. A peer that cannot be installed or breaks is a row that says why.
"""

from __future__ import annotations

import functools
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import anyio
from freshness import until_whole
from keeping import IN_FLIGHT, through_processes, write_all
from measure import Figures, Row, Step, figures
from peer_starts import rebuilding, starts
from peers import PEERS, NotHere, Ours, Peer
from stdio_pipe import Broken, Pipe, opened
from vaults import Prose

FILL_SECONDS = 45.0
CASE_SECONDS = 25.0
KEEP_SECONDS = 40.0
EDIT_SECONDS = 20.0
SETTLE_SECONDS = 3.0
START_SECONDS = 120.0
OFFLINE_SIZE = {"basic-memory": 300}  # what it indexes in about the time that the others are filled in
PEER_SECONDS = (
    240.0  # for a peer's latencies, for its starts, and once more for what it keeps; what is not done then is said
)
AGAIN_SECONDS = 20.0  # what a peer that wrote its files later may take for it at its next start


def beside_peers(folder: Path, quick: bool) -> list[Row]:
    """All peers, each with what it can."""
    size, writes, two = (200, 40, 40) if quick else (10_000, 200, 80)
    rows: list[Row] = []
    ours = anyio.run(functools.partial(_kept, Ours(), folder / "argosy", writes, two))
    for peer in PEERS:
        print(f"… {peer.name} {peer.version}", file=sys.stderr)
        began = time.monotonic()
        try:
            peer.install()
            anyio.run(functools.partial(_timed, peer, folder / peer.name, size, quick, rows))
            anyio.run(functools.partial(_started, peer, folder / peer.name / "starts", quick, rows))
            theirs = anyio.run(functools.partial(_kept, peer, folder / peer.name, writes, two))
            rows += [_kept_row(peer, *pair) for pair in zip(ours, theirs, strict=False)]
            if len(theirs) < len(ours):
                raise NotHere(f"what it keeps took longer than {PEER_SECONDS:g} s")
        except (NotHere, Broken, AssertionError, OSError) as error:
            rows.append(Row.missing("P1-3", f"{peer.name} {peer.version}", str(error)[:160] or type(error).__name__))
        print(f"  {peer.name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
        shutil.rmtree(folder / peer.name, ignore_errors=True)
    return rows


async def _timed(peer: Peer, folder: Path, size: int, quick: bool, rows: list[Row]) -> None:
    """P1, P2 and P12 into *rows*. Raises TimeoutError when they take too long; what was measured stays."""
    with anyio.fail_after(PEER_SECONDS):
        await _one(peer, folder, size, quick, rows)


async def _started(peer: Peer, folder: Path, quick: bool, rows: list[Row]) -> None:
    """P9 and P15 into *rows*. Raises TimeoutError as above."""
    with anyio.fail_after(PEER_SECONDS):
        await starts(peer, folder, quick, rows)
        await rebuilding(peer, folder, quick, rows)


async def _one(peer: Peer, folder: Path, size: int, quick: bool, rows: list[Row]) -> None:
    ours, mine, theirs = Ours(), folder / "ours", folder / "theirs"
    ours.seed(mine, size)
    theirs.parent.mkdir(parents=True, exist_ok=True)
    seeded = peer.seed(theirs, min(size, OFFLINE_SIZE.get(peer.name, size)))
    theirs.mkdir(exist_ok=True)
    async with AsyncExitStack() as stack:
        us = await stack.enter_async_context(opened(ours.command(mine), ours.environment(mine), mine))
        them = await stack.enter_async_context(
            opened(peer.command(theirs), peer.environment(theirs), theirs, START_SECONDS)
        )
        await until_whole(us)
        await them.call(*peer.search("warm"), seconds=START_SECONDS)
        present = seeded or await _fill(peer, them, size, 10 if quick else FILL_SECONDS)
        seconds = 5 if quick else CASE_SECONDS
        prose = Prose(7)

        def write(server: Peer, pipe: Pipe, first: int) -> Step:
            async def step(index: int) -> None:
                await pipe.call(*server.write(first + index, " ".join(prose.words(60))))

            return step

        def search(server: Peer, pipe: Pipe) -> Step:
            async def step(index: int) -> None:
                await pipe.call(*server.search(prose.query()))

            return step

        written = await _in_turn({"us": write(ours, us, 10**6), "them": write(peer, them, 10**6)}, seconds)
        rows.append(_row("P1", "write", peer, present, size, written))
        found = await _in_turn({"us": search(ours, us), "them": search(peer, them)}, seconds)
        rows.append(_row("P2", "search", peer, present, size, found))
        rows += await _edited(peer, (ours, us, mine), (peer, them, theirs))


async def _fill(peer: Peer, pipe: Pipe, size: int, seconds: float) -> int:
    """Write until *size* entries are there or *seconds* have gone; how many there are."""
    prose = Prose(1)

    async def write(number: int) -> None:
        await pipe.call(*peer.write(2 * 10**6 + number, " ".join(prose.words(90))))

    done, problem = await write_all([write], range(size), 4, seconds)
    if not done:
        raise NotHere(f"nothing could be written: {problem}")
    return len(done)


async def _in_turn(
    steps: Mapping[str, Step], seconds: float, most: int = 300, warm_up: int = 3
) -> Mapping[str, Figures]:
    """Call each step in turn until *seconds* have gone or there are *most* of each."""
    samples: dict[str, list[float]] = {name: [] for name in steps}
    deadline = time.perf_counter() + seconds
    for index in range(most + warm_up):
        if time.perf_counter() > deadline and index > warm_up:
            break
        for name, step in steps.items():
            began = time.perf_counter()
            await step(index)
            if index >= warm_up:
                samples[name].append((time.perf_counter() - began) * 1000)
    return {name: figures(values) for name, values in samples.items()}


def _row(number: str, what: str, peer: Peer, present: int, size: int, found: Mapping[str, Figures]) -> Row:
    us, them = found["us"], found["them"]
    theirs = f"{present} of its own" if present != size else f"{size}"
    note = f"; {peer.note}" if peer.note else ""
    target = f"below {peer.name} {peer.version}{note}; {them.count} calls each"
    return Row(
        number, f"{what} at {size} beside {peer.name} at {theirs}", us.p50, them.p50, them.p50, "ms", target, us.p99
    )


Side = tuple[Peer, Pipe, Path]


async def _edited(peer: Peer, ours: Side, theirs: Side, times: int = 3) -> list[Row]:
    """P12: seconds until search finds what a person wrote with an editor, for a peer that keeps files."""
    if not peer.edit(theirs[2], "warmingup0"):
        return []
    ours[0].edit(ours[2], "warmingup0")
    took: dict[str, list[float]] = {"us": [], "them": []}
    for number in range(times):
        for name, side in (("us", ours), ("them", theirs)):
            word = f"quillwort{name}{number}"
            began = time.perf_counter()
            side[0].edit(side[2], word)
            found = await _until_found(side, word, began)
            took[name].append(found if found is not None else float("inf"))
    us, them = (sorted(values)[len(values) // 2] * 1000 for values in took.values())
    never = f"; {peer.name} did not find it within {EDIT_SECONDS:g} s" if them == float("inf") else ""
    shown = them if them != float("inf") else EDIT_SECONDS * 1000
    return [
        Row("P12", f"an edit until found, beside {peer.name}", us, shown, min(1000.0, shown), "ms", f"≤ 1 s{never}")
    ]


async def _until_found(side: Side, word: str, began: float) -> float | None:
    peer, pipe, _ = side
    while time.perf_counter() - began < EDIT_SECONDS:
        if peer.shows(str(await pipe.call(*peer.search(word))), word):
            return time.perf_counter() - began
        await anyio.sleep(0.05)
    return None


@dataclass(frozen=True, slots=True)
class Kept:
    """How many of *asked* writes were acknowledged, how many of these were there after all had stopped, and *later*,
    after a further start."""

    what: str
    asked: int
    acknowledged: int
    kept: int
    later: int
    problem: str


async def _kept(peer: Peer, folder: Path, writes: int, two: int) -> list[Kept]:
    """P3: 8 in flight on one connection, then 4 processes on one store. What is not done in time is not told."""
    found: list[Kept] = []
    with anyio.move_on_after(PEER_SECONDS):
        await _count_kept(peer, folder, writes, two, found)
    return found


async def _count_kept(peer: Peer, folder: Path, writes: int, two: int, found: list[Kept]) -> None:
    ways = (("8 in flight, one process", writes, _through_one), ("4 processes, one store", two, _through_four))
    for what, count, run in ways:
        data = folder / run.__name__
        data.parent.mkdir(parents=True, exist_ok=True)
        peer.seed(data, 5)
        data.mkdir(exist_ok=True)
        done, problem = await run(peer, data, count)
        await anyio.sleep(SETTLE_SECONDS)
        kept = len(done & await anyio.to_thread.run_sync(peer.kept, data))
        later = kept if kept == len(done) else await _kept_later(peer, data, done)
        found.append(Kept(what, count, len(done), kept, later, problem))


async def _kept_later(peer: Peer, data: Path, done: set[int]) -> int:
    """How many are there once the server was started again and had some time: it may have had them elsewhere."""
    found = 0
    async with opened(peer.command(data), peer.environment(data), data, START_SECONDS) as pipe:
        await pipe.call(*peer.search("said"), seconds=START_SECONDS)
        with anyio.move_on_after(AGAIN_SECONDS):
            while found < len(done):
                await anyio.sleep(1)
                found = len(done & await anyio.to_thread.run_sync(peer.kept, data))
    return found


def _kept_row(peer: Peer, ours: Kept, theirs: Kept) -> Row:
    """Ours must have lost nothing and refused nothing; what the peer did is told beside it."""
    tail = f"; {theirs.problem[:80]}" if theirs.problem else ""
    later = f", {theirs.later} after its next start" if theirs.later != theirs.kept else ""
    target = f"none; {peer.name} acknowledged {theirs.acknowledged} and kept {theirs.kept}{later}{tail}"
    lost = ours.asked - ours.kept
    what = f"lost of {ours.asked}, {ours.what}, beside {peer.name}"
    return Row("P3", what, lost, theirs.acknowledged - theirs.later, 0, "writes", target)


async def _through_one(peer: Peer, data: Path, count: int) -> tuple[set[int], str]:
    async with opened(peer.command(data), peer.environment(data), data, START_SECONDS) as pipe:

        async def write(number: int) -> None:
            await pipe.call(*peer.write(number, "said"))

        return await write_all([write], range(count), IN_FLIGHT, KEEP_SECONDS)


async def _through_four(peer: Peer, data: Path, count: int) -> tuple[set[int], str]:
    return await through_processes(peer.command(data), peer.environment(data), data, peer.write, count, KEEP_SECONDS)
