"""The promises of a store to several processes that work on it at once. The opener gives a store.

Each process opens the store anew, by its opener's name (`argosy_core.testing.openers`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import anyio
from anyio import to_thread

from argosy_core.storage.base import Store
from argosy_core.testing.conformance import Opener
from argosy_core.testing.conformance.bell import listening
from argosy_core.testing.conformance.jobs import ALL_JOBS, JOBS
from argosy_core.testing.conformance.promises import Broken

PROCESSES = 8
BOUND_SECONDS = 45.0  # of all of them together, on a machine that is busy
LAST_WORDS = 2_000  # of a process that failed


class ProcessOpener(Opener[Store], Protocol):
    """An opener whose store other processes can open."""

    @property
    def elsewhere(self) -> Sequence[str]:
        """The opener's name, as in `openers`, and the texts that it is given."""
        ...


Open = ProcessOpener
Check = Callable[[Open], Coroutine[Any, Any, None]]


async def check_processes_that_work_at_once_lose_nothing(open_store: Open) -> None:
    """Eight processes at once lose no write, fork no chain, share no lease, do each item once, and are all heard."""
    async with open_store() as store:
        for job in ALL_JOBS:
            await JOBS[job].prepare(store)
        with listening(store.bell) as ear:
            store.start()
            try:
                await ear.until("", "the beginning of watching")
                ear.calls.clear()
                told = await _told_by_processes(open_store.elsewhere, ALL_JOBS)
                for path in told["bell"].values():
                    await ear.until_concerned(path, "another process's ring")
            finally:
                await store.stop()
    async with open_store() as store:
        for job in ALL_JOBS:
            await JOBS[job].holds(store, told[job])


async def _told_by_processes(elsewhere: Sequence[str], jobs: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """What each process, by its name, said of each job, after all began at once. Raises Broken."""
    said: dict[str, dict[str, Any]] = {}
    ready: list[str] = []
    all_ready = anyio.Event()

    async def take_part(name: str, process: subprocess.Popen[bytes]) -> None:
        await _in_thread(_await_ready, name, process)
        ready.append(name)
        if len(ready) == PROCESSES:
            all_ready.set()
        await all_ready.wait()
        said[name] = await _in_thread(_told, name, process, json.dumps([name, jobs]).encode() + b"\n")

    with ExitStack() as stack:
        names = [f"p{number}" for number in range(PROCESSES)]
        processes = {name: stack.enter_context(_process(elsewhere)) for name in names}
        try:
            with anyio.fail_after(BOUND_SECONDS):
                async with anyio.create_task_group() as tasks:
                    for name, process in processes.items():
                        tasks.start_soon(take_part, name, process)
        except TimeoutError as error:
            late = ", ".join(sorted(set(names) - set(said)))
            raise Broken(f"promised: all end within {BOUND_SECONDS:g} seconds; came: {late} did not") from error
        except BaseExceptionGroup as group:
            for broken in group.exceptions:
                if isinstance(broken, Broken):
                    raise broken from group
            raise
    return {job: {name: said[name][job] for name in names} for job in jobs}


async def _in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    """A thread that is left when the bound comes ends with its process, which is killed then."""
    return await to_thread.run_sync(partial(work, *arguments), abandon_on_cancel=True)


@contextmanager
def _process(elsewhere: Sequence[str]) -> Generator[subprocess.Popen[bytes]]:
    """A worker; it is killed at the end if it still runs."""
    # Some machines forbid byte code, and every start would compile the library again.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = os.pathsep.join(str(Path(folder).resolve()) for folder in sys.path if folder)
    with subprocess.Popen(  # noqa: S603 - this Python, and the words of the opener
        [sys.executable, "-P", "-m", "argosy_core.testing.worker", *elsewhere],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _await_ready(name: str, process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    if not process.stdout.readline():
        raise _failed(name, process, process.communicate()[1])


def _told(name: str, process: subprocess.Popen[bytes], go: bytes) -> Any:
    out, errors = process.communicate(go)
    if process.returncode or not out.endswith(b"\n"):
        raise _failed(name, process, errors)
    return json.loads(out)


def _failed(name: str, process: subprocess.Popen[bytes], errors: bytes) -> Broken:
    last = errors[-LAST_WORDS:].decode("utf-8", "replace").strip()
    return Broken(f"promised: the process {name} does its work; came: exit {process.returncode}\n{last}")


CHECKS: tuple[Check, ...] = (check_processes_that_work_at_once_lose_nothing,)
