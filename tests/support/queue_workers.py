"""Worker processes on one queue, killed at random; what each was acknowledged, and what the store says at the end.

As a program: ``python queue_workers.py VAULT STORE NAME SEED`` works until everything in the queue has ended.
"""

from __future__ import annotations

import asyncio
import os
import random
import selectors
import subprocess
import sys
import time
from pathlib import Path

from argosy_core.clock import SystemClock
from argosy_core.errors import Conflict
from argosy_core.storage.base import ENDED_STATES, Items, NewItem
from argosy_core.storage.opening import open_store
from argosy_core.testing.history import End, Op, Recorder, ends_of, line_of, read_lines

ROOT = Path(__file__).resolve().parents[2]
QUEUE = "work"
LEASE_SECONDS = 1.5
KILLED_AFTER = (1, 25)  # lines that a worker may write before it is killed


def recorder(items: Items, folder: Path, name: str) -> Recorder:
    """Records each acknowledged call as a line of a file; a line is one write, so a killed writer leaves whole ones."""
    file = os.open(folder / f"{name}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def keep(op: Op) -> None:
        os.write(file, f"{line_of(op)}\n".encode())

    return Recorder(items, time.monotonic, time.time, keep)


async def work(vault: Path, address: str, name: str, seed: int) -> None:
    """Claim, and complete, fail or release at random, until everything has ended."""
    store, chance = open_store(vault, address), random.Random(seed)
    records = recorder(store.items, vault.parent, name)
    while True:
        found = await records.claim(QUEUE, name, LEASE_SECONDS, chance.randint(1, 3))
        if not found:
            if not set(await store.items.counts(QUEUE)) - set(ENDED_STATES):
                break
            await SystemClock().sleep(0.05)
        for item in found:
            try:
                if (luck := chance.random()) < 0.05:
                    await records.fail(item, "bad luck", 0)
                elif luck < 0.1:
                    await records.release(item)
                else:
                    await records.complete(item, {"by": name})
            except Conflict:
                continue  # too late: the lease had ended
            print(item.id, flush=True)
    store.close()


async def fill(vault: Path, address: str, count: int) -> None:
    """Put *count* items into the queue: some with few attempts, some that exclude each other."""
    store = open_store(vault, address, create=True)
    records = recorder(store.items, vault.parent, "filler")
    for number in range(count):
        attempts = 1 if number % 20 == 0 else 100
        keys = (f"key {number % 3}",) if number % 10 == 0 else ()
        new = NewItem(QUEUE, {"n": number}, key=f"k{number}", max_attempts=attempts, conflict_keys=keys)
        await records.enqueue(new)
    store.close()


def start(vault: Path, address: str, name: str, seed: int) -> subprocess.Popen[bytes]:
    sources = os.pathsep.join(str(ROOT / part) for part in ("servers", "shared", "host"))
    return subprocess.Popen(
        [sys.executable, "-P", __file__, str(vault), address, name, str(seed)],
        env={**os.environ, "PYTHONPATH": sources},
        stdout=subprocess.PIPE,
    )


def run_and_kill(vault: Path, address: str, workers: int, kills: int, seed: int, bound_seconds: float) -> int:
    """Run *workers* until everything has ended, kill one again and again and start another; the number of kills."""
    chance, killed, started = random.Random(seed), 0, 0
    left: dict[subprocess.Popen[bytes], int] = {}
    deadline = time.monotonic() + bound_seconds
    with selectors.DefaultSelector() as ready:

        def add() -> None:
            nonlocal started
            started += 1
            worker = start(vault, address, f"worker{started}", seed + started)
            assert worker.stdout is not None
            left[worker] = chance.randint(*KILLED_AFTER)
            ready.register(worker.stdout, selectors.EVENT_READ, worker)

        for _ in range(workers):
            add()
        try:
            while left:
                assert time.monotonic() < deadline, "the workers did not come to an end"
                for key, _ in ready.select(timeout=1):
                    worker = key.data
                    said = os.read(key.fd, 65536)
                    left[worker] -= said.count(b"\n")
                    dies = bool(said) and left[worker] <= 0 and killed < kills
                    if dies:
                        worker.kill()
                    if dies or not said:
                        ready.unregister(key.fileobj)
                        del left[worker]
                        code = worker.wait(10)
                        worker.stdout.close()
                        assert code == 0 or (dies and code == -9)
                        killed += code == -9
                    if dies:
                        add()
        finally:
            for worker in left:
                worker.kill()
                worker.wait(10)
                assert worker.stdout is not None
                worker.stdout.close()
    return killed


async def history_of(vault: Path, address: str) -> tuple[list[Op], list[End]]:
    """All that was acknowledged to anybody, and the store's last word."""
    ops = [op for file in sorted(vault.parent.glob("*.jsonl")) for op in read_lines(file.read_text())]
    store = open_store(vault, address)
    ends = await ends_of(store.items, QUEUE)
    store.close()
    return ops, ends


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
