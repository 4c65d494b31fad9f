"""A run with an escalation in it, killed with SIGKILL at one of its steps.

As a program: ``python escalating_run.py VAULT PHASE STEP MOMENT``. *PHASE* is ``ask`` (a call is put to a person) or
``act`` (their answer is acted on); *STEP* the number of a call to a server, or its name (``log_append:KIND`` for an
event); *MOMENT* is before or after it.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import anyio
from fleet_fixtures import Scripted, calls, says

from argosy_core.clock import Clock
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


if __name__ == "__main__":
    kill_at(*sys.argv[3:])
    anyio.run(escalate, Path(sys.argv[1]), sys.argv[2])
