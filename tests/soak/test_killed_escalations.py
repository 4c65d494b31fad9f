"""A host or a judge killed with SIGKILL at every step of an escalation: one outcome each, and an approved call runs
once.

A host is killed between any two calls to a server, with the judge that is in its process; a judge in a process of its
own before, after and in the middle of any of them, while the host goes on.
"""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from children import ROOT, environment
from escalating_run import POLICY, escalate, judge_apart, judge_killed_at
from fleet_fixtures import make_vault

from argosy_core.clock import SystemClock
from argosy_core.types import Role
from argosy_host.direct import call_tool

pytestmark = pytest.mark.anyio
WRITTEN = "ada/memory/decision_bell_rope.md"
MOMENTS = ("before", "after")
QUICK = [
    ("ask", "desk_ask", "after"),
    ("act", "log_append:desk.act", "after"),
]


class Later(SystemClock):
    """The machine's clock after every claim has gone stale."""

    def now(self) -> datetime:
        return super().now() + timedelta(hours=1)


def events(vault: Path) -> list[dict[str, Any]]:
    files = sorted((vault / "ada/log").rglob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def questions(vault: Path) -> list[str]:
    return sorted(path.stem for path in (vault / "ada/vault/escalations").rglob("*.md"))


def killed(vault: Path, phase: str, step: str, moment: str) -> bool:
    """Run *phase* in a process that is killed at *step*; False when it has no such step."""
    env = environment()
    env["PYTHONPATH"] += f":{ROOT}/tests/support"
    env |= {"XDG_STATE_HOME": str(vault.parent / "state")}
    program = [sys.executable, "-P", f"{ROOT}/tests/support/escalating_run.py", str(vault), phase, step, moment]
    ran = subprocess.run(program, env=env, capture_output=True, text=True, timeout=50)
    assert ran.returncode in (0, -signal.SIGKILL), ran.stderr[-2000:]
    return ran.returncode != 0


async def approve(vault: Path) -> None:
    """Approve whatever waits, by many at once: one of them is the first."""
    for question in questions(vault):
        given = {"question": question, "choice": "approve"}
        outcome = await call_tool("desk", "desk_answer", given, vault=vault, agent="ada", role=Role.OPERATOR)
        assert not outcome.is_error, outcome.text


def check(vault: Path, *, unsure: bool = False) -> None:
    """One outcome for each question, and one write for all that was approved."""
    found = events(vault)
    acted = Counter(event["question"] for event in found if event["kind"] == "desk.act")
    assert acted == Counter(questions(vault))
    answered = Counter(event["question"] for event in found if event["kind"] == "desk.answer")
    assert answered == Counter(questions(vault))
    enforced = [event for event in found if event.get("enforcement_action") == "approved_executed"]
    writes = [event for event in found if event["kind"] == "memory.write"]
    assert len(enforced) <= len(acted)
    assert len(writes) in ((0, 1) if unsure else (1,))
    assert (vault / WRITTEN).exists() == bool(writes)


async def one_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: str, step: str, moment: str) -> bool:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    vault = make_vault(tmp_path / "vault", {"judges.md": POLICY})
    if phase == "act":
        await escalate(vault, "ask")
        await approve(vault)
    happened = killed(vault, phase, step, moment)
    if phase == "ask":
        assert not (vault / WRITTEN).exists()
        assert len(questions(vault)) <= 1
        if not questions(vault):
            await escalate(vault, "ask")
        await approve(vault)
    for _ in range(2):
        await escalate(vault, "act", Later())
    # Behind that event and before the call nobody can know whether it was made: it is not made again.
    check(vault, unsure=phase == "act" and (step.isdecimal() or step == "log_append:desk.act"))
    return happened


async def at_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moments: Sequence[str], kill: Callable[..., Awaitable[bool]]
) -> Counter[str]:
    """*kill* at each step that there is; how many there were, by phase."""
    happened = Counter[str]()
    for phase, moment in itertools.product(("ask", "act"), moments):
        for step in itertools.count(1):
            place = tmp_path / f"{phase}-{step}-{moment}"
            place.mkdir()
            found = await kill(place, monkeypatch, phase, str(step), moment)
            shutil.rmtree(place)
            if not found:
                break
            happened[phase] += 1
    return happened


@pytest.mark.parametrize(("phase", "step", "moment"), QUICK)
async def test_a_host_killed_at_a_step_of_an_escalation_leaves_one_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: str, step: str, moment: str
) -> None:
    assert await one_kill(tmp_path, monkeypatch, phase, step, moment)


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_a_host_killed_at_any_step_of_an_escalation_leaves_one_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened = await at_every_step(tmp_path, monkeypatch, MOMENTS, one_kill)
    assert min(happened["ask"], happened["act"]) >= 10, happened


QUICK_OF_THE_JUDGE = [
    ("ask", "judge_evaluate", "during"),
    ("act", "memory_write", "before"),
]


async def one_kill_of_the_judge(
    place: Path, monkeypatch: pytest.MonkeyPatch, phase: str, step: str, moment: str
) -> bool:
    monkeypatch.setenv("XDG_STATE_HOME", str(place / "state"))
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    vault = make_vault(place / "vault", {"judges.md": POLICY, "registry.json": judge_apart()})
    if phase == "act":
        await escalate(vault, "ask")
        await approve(vault)
    with judge_killed_at(step, moment) as killed:
        await escalate(vault, phase)
    if phase == "ask":
        assert not (vault / WRITTEN).exists()
        if not questions(vault):  # the judge was gone before it could say that a person must be asked
            await escalate(vault, "ask")
        await approve(vault)
    for _ in range(2):
        await escalate(vault, "act", Later())
    check(vault)
    return bool(killed)


@pytest.mark.parametrize(("phase", "step", "moment"), QUICK_OF_THE_JUDGE)
async def test_a_judge_killed_at_a_step_of_an_escalation_leaves_one_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: str, step: str, moment: str
) -> None:
    assert await one_kill_of_the_judge(tmp_path, monkeypatch, phase, step, moment)


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_a_judge_killed_at_any_step_of_an_escalation_leaves_one_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened = await at_every_step(tmp_path, monkeypatch, (*MOMENTS, "during"), one_kill_of_the_judge)
    assert min(happened["ask"], happened["act"]) >= 10, happened
