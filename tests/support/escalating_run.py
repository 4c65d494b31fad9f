"""A run with an escalation in it, killed with SIGKILL at one of its steps.

As a program: ``python escalating_run.py VAULT PHASE STEP MOMENT``. *PHASE* is ``ask`` (a call is put to a person) or
``act`` (their answer is acted on); *STEP* the number of a call to a server, or its name (``log_append:KIND`` for an
event); *MOMENT* is before or after it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
from children import ROOT
from fleet_fixtures import Scripted, calls, says

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError, Unavailable
from argosy_host.compose import Fleet
from argosy_host.progress import Progress
from argosy_host.results import CallOutcome
from argosy_host.runs import RunResult
from argosy_host.session import RunOptions, run_task

NOTE = {"type": "decision", "title": "Bell rope", "body": "The bell rope is renewed every spring.", "sources": ["me"]}
POLICY = "## Class policy\n\n- reversible_write: escalate\n"


async def escalate(vault: Path, phase: str, clock: Clock | None = None) -> RunResult:
    """One run: of the write that a person is asked about, or of nothing but what was answered."""
    steps = [calls(("memory_write", NOTE)), says("Done.")] if phase == "ask" else [says("Nothing new.")]
    options = RunOptions(vault=vault, agent="ada", task="Look after the bell", model="offline")
    return await run_task(options, Progress(), clock=clock, model=lambda: Scripted(steps))


def kill_at(step: str, moment: str) -> None:
    """Let this process be killed before or after *step*."""
    called, count = Fleet.call, 0

    async def counted(fleet: Fleet, tool: str, arguments: Any, *rest: Any, **more: Any) -> CallOutcome:
        nonlocal count
        count += 1
        name = f"{tool}:{arguments['kind']}" if tool == "log_append" else tool
        here = step in (str(count), name)
        if here and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        outcome = await called(fleet, tool, arguments, *rest, **more)
        if here:
            os.kill(os.getpid(), signal.SIGKILL)
        return outcome

    Fleet.call = counted  # type: ignore[method-assign]


def judge_apart() -> str:
    """A vault's ``registry.json`` in which the judge has a process of its own."""
    registry = json.loads((ROOT / "registry.json").read_text(encoding="utf-8"))
    text = json.dumps(registry)
    return text.replace('"name": "judge", "transport": "in_process"', '"name": "judge", "transport": "stdio"')


def judge_process() -> int:
    """The process of the judge that this one started."""
    found = []
    for place in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            parent = (place / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid() and b"serve\0judge\0" in (place / "cmdline").read_bytes():
                found.append(int(place.name))
    assert len(found) == 1, found
    return found[0]


@contextmanager
def judge_killed_at(step: str, moment: str) -> Generator[list[str]]:
    """While the block runs the judge's process is killed at *step*, as `kill_at` names it, or in the middle of it
    ("during"); gives the calls at which it was."""
    called, count, killed = Fleet.call, 0, list[str]()

    async def counted(fleet: Fleet, tool: str, arguments: Any, *rest: Any, **more: Any) -> CallOutcome:
        nonlocal count
        count += 1
        if step not in (str(count), tool):
            return await called(fleet, tool, arguments, *rest, **more)
        judge = judge_process()
        killed.append(tool)
        if moment == "after":
            outcome = await called(fleet, tool, arguments, *rest, **more)
            os.kill(judge, signal.SIGKILL)
            return outcome
        os.kill(judge, signal.SIGSTOP if moment == "during" else signal.SIGKILL)
        came: CallOutcome | ArgosyError = Unavailable("the call was given up")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_kill_soon, judge)
            try:
                came = await called(fleet, tool, arguments, *rest, **more)
            except ArgosyError as error:  # raised outside, or the group would wrap it
                came = error
        if isinstance(came, ArgosyError):
            raise came
        return came

    Fleet.call = counted  # type: ignore[method-assign]
    try:
        yield killed
    finally:
        Fleet.call = called  # type: ignore[method-assign]


async def _kill_soon(process: int) -> None:
    for _ in range(50):  # the call is on its way by then
        await anyio.lowlevel.checkpoint()
    with suppress(ProcessLookupError):  # gone before
        os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    kill_at(*sys.argv[3:])
    anyio.run(escalate, Path(sys.argv[1]), sys.argv[2])
