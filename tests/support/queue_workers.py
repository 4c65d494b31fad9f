"""Worker processes on one queue, killed at random; what each was acknowledged, and what the store says at the end.

As a program, ``python queue_workers.py VAULT STORE WORKERS KILLS SEED LINES`` forks them: a worker costs milliseconds,
and no start of Python. It prints how many it killed.
"""

from __future__ import annotations

import asyncio
import os
import random
import selectors
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

import anyio
from children import environment

from argosy_core.clock import SystemClock
from argosy_core.errors import Conflict
from argosy_core.storage.base import ENDED_STATES, Items, NewItem
from argosy_core.storage.opening import open_store
from argosy_core.testing.history import End, Op, Recorder, ends_of, line_of, read_lines

QUEUE = "work"
LEASE_SECONDS = 1.5
FILLERS = 16  # tasks that put items side by side
KILLED_AFTER = 25  # lines at most that a worker may write before it is killed


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

    async def put(first: int) -> None:
        for number in range(first, count, FILLERS):
            attempts = 1 if number % 20 == 0 else 100
            keys = (f"key {number % 3}",) if number % 10 == 0 else ()
            new = NewItem(QUEUE, {"n": number}, key=f"k{number}", max_attempts=attempts, conflict_keys=keys)
            await records.enqueue(new)

    async with anyio.create_task_group() as tasks:
        for first in range(FILLERS):
            tasks.start_soon(put, first)
    store.close()


class Worker:
    """One worker, forked from a process that has everything imported and no threads."""

    def __init__(self, vault: Path, address: str, name: str, seed: int) -> None:
        self.told, said = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.dup2(said, 1)
                asyncio.run(work(vault, address, name, seed))
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(said)

    def end(self, *, killed: bool) -> int:
        """Its exit code, as `subprocess` has it."""
        if killed:
            os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.told)
        return os.waitstatus_to_exitcode(status)


def work_and_kill(vault: Path, address: str, workers: int, kills: int, seed: int, lines: int) -> int:
    """Run *workers* until everything has ended, kill one again and again and start another; the number of kills.

    A worker is killed after at most *lines* lines of its own.
    """
    chance, killed, started = random.Random(seed), 0, 0
    left: dict[int, tuple[Worker, int]] = {}
    parent = os.getppid()
    with selectors.DefaultSelector() as ready:

        def add() -> None:
            nonlocal started
            started += 1
            worker = Worker(vault, address, f"worker{started}", seed + started)
            left[worker.told] = worker, chance.randint(1, lines)
            ready.register(worker.told, selectors.EVENT_READ)

        for _ in range(workers):
            add()
        while left:
            if os.getppid() != parent:
                os.killpg(0, signal.SIGKILL)  # whoever asked for this is gone
            for key, _ in ready.select(timeout=1):
                worker, lines_left = left[key.fd]
                said = os.read(key.fd, 65536)
                lines_left -= said.count(b"\n")
                left[key.fd] = worker, lines_left
                dies = bool(said) and lines_left <= 0 and killed < kills
                if dies or not said:
                    ready.unregister(key.fd)
                    del left[key.fd]
                    code = worker.end(killed=dies)
                    assert code == 0 or (dies and code == -signal.SIGKILL), f"a worker ended with {code}"
                    killed += code == -signal.SIGKILL
                if dies:
                    add()
    return killed


def run_and_kill(
    vault: Path, address: str, workers: int, kills: int, seed: int, bound_seconds: float, lines: int = KILLED_AFTER
) -> int:
    """As `work_and_kill`, in a process of its own."""
    arguments = [str(vault), address, *(str(number) for number in (workers, kills, seed, lines))]
    with subprocess.Popen(
        [sys.executable, __file__, *arguments], env=environment(), stdout=subprocess.PIPE, start_new_session=True
    ) as foreman:
        try:
            out, _ = foreman.communicate(timeout=bound_seconds)
        except BaseException:
            os.killpg(foreman.pid, signal.SIGKILL)  # the workers too
            raise
    assert foreman.returncode == 0, "the workers did not come to a good end"
    return int(out)


async def history_of(vault: Path, address: str) -> tuple[list[Op], list[End]]:
    """All that was acknowledged to anybody, and the store's last word."""
    ops = [op for file in sorted(vault.parent.glob("*.jsonl")) for op in read_lines(file.read_text())]
    store = open_store(vault, address)
    ends = await ends_of(store.items, QUEUE)
    store.close()
    return ops, ends


if __name__ == "__main__":
    given = sys.argv[3:]
    print(work_and_kill(Path(sys.argv[1]), sys.argv[2], *(int(number) for number in given)))
