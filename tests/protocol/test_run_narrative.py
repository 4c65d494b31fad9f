"""The journal's line of a run that nobody watched: one, whatever became of the run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from fleet_fixtures import Recorder, Scripted, Step, calls, make_vault, says

from argosy_core.clock import SystemClock
from argosy_core.errors import Unavailable
from argosy_core.ids import SystemIds
from argosy_core.serving.config import open_store
from argosy_core.serving.identity import RunTokens
from argosy_host.providers.base import ModelReply, ModelRequest
from argosy_host.queued import QueuedRuns
from argosy_host.runs import KILLED, Origin, RunResult
from argosy_host.session import RunOptions, Shared, run_task
from argosy_host.up import UpOptions

pytestmark = pytest.mark.anyio
TASK = "Look after\nthe lamp"
NOTE = {"type": "decision", "title": "Bell rope", "body": "Renewed every spring."}


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "vault")


def journal(vault: Path) -> str:
    return "\n".join(file.read_text("utf-8") for file in sorted(vault.glob("ada/journal/**/*.md")))


def options(vault: Path, **fields: Any) -> RunOptions:
    usual: dict[str, Any] = {"task": TASK, "journal": True, "origin": Origin("cron")}
    return RunOptions(vault=vault, agent="ada", model="scripted", **{**usual, **fields})


async def run(vault: Path, *steps: Step, **fields: Any) -> tuple[RunResult, Recorder]:
    told = Recorder()
    with anyio.fail_after(30):
        return await run_task(options(vault, **fields), told, model=lambda: Scripted(steps)), told


async def test_a_run_leaves_one_line_with_its_trigger_task_end_and_id(vault: Path) -> None:
    result, _ = await run(vault, calls(("memory_write", NOTE)), says("The lamp\n\nis clean."))

    lines = [line for line in journal(vault).split("\n") if f"({result.run})" in line]
    assert lines == [f"cron: Look after the lamp → ok. The lamp is clean. ({result.run})"]
    assert journal(vault).count(f"<!-- key: {result.run} -->") == 1


async def test_a_run_that_fails_says_why_and_a_long_text_is_cut(vault: Path) -> None:
    failed, _ = await run(vault, Unavailable("the model is away"))
    long, _ = await run(vault, says("word " * 1000), task="t" * 5000)

    text = journal(vault)
    assert f"→ error. the model is away ({failed.run})" in text
    assert text.count("t" * 200) == 1 and "t" * 201 not in text
    [line] = [line for line in text.split("\n") if long.run in line and "→" in line]
    assert len(line) < 900


async def test_a_run_that_somebody_watched_leaves_no_line(vault: Path) -> None:
    await run(vault, says("Done."), journal=False)
    assert "→" not in journal(vault)


async def test_an_interrupted_run_leaves_its_line_once(vault: Path) -> None:
    scope = anyio.CancelScope()

    class Stopped(Scripted):
        async def complete(self, request: ModelRequest, on_text: Any = None) -> ModelReply:
            scope.cancel()
            await anyio.sleep_forever()
            raise AssertionError

    with scope, anyio.fail_after(30):
        await run_task(options(vault, run="run-stopped"), Recorder(), model=lambda: Stopped([]))

    assert scope.cancelled_caught
    text = journal(vault)
    assert text.count("(run-stopped)") == 1
    assert "cron: Look after the lamp → interrupted." in text


async def test_a_journal_that_cannot_be_written_is_told_of_and_the_run_stands(vault: Path) -> None:
    shutil.rmtree(vault / "ada/journal")
    (vault / "ada/journal").write_text("no folder", "utf-8")
    result, told = await run(vault, says("Done."))

    assert result.status == "ok"
    assert [text for text in told.problems if text.startswith("the journal was not written: ")]


@pytest.fixture
def queued(vault: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, Any]], Any]:
    """Works an item as a worker does, with a model that says it is done."""

    async def work(item: Mapping[str, Any]) -> RunResult:
        monkeypatch.setattr("argosy_host.session.open_model", lambda provider: Scripted([says("Done.")]))
        store = open_store(vault)
        try:
            shared = Shared(store, RunTokens(SystemClock()), {}, lambda: None)
            runs = QueuedRuns(UpOptions(vault=vault, model="offline"), shared, SystemClock(), SystemIds())
            with anyio.fail_after(30):
                return await runs.run(item)
        finally:
            store.close()

    return work


async def test_a_run_that_was_killed_gets_its_line_from_the_next_attempt_once(vault: Path, queued: Any) -> None:
    store = open_store(vault)
    start = {"kind": "run.start", "run_id": "run-killed", "agent_name": "ada", "item": "item-1"}
    await store.chain.append("ada", "host", start, key="start:item-1")
    store.close()
    item = {"id": "item-1", "payload": {"agent": "ada", "task": TASK, "trigger": "cron"}, "creator": "operator"}
    second, third = await queued(item), await queued(item)

    text = journal(vault)
    assert text.count("(run-killed)") == text.count(KILLED) == 1
    assert f"cron: Look after the lamp → interrupted. {KILLED} (run-killed)" in text
    assert text.count(f"→ ok. Done. ({second.run})") == text.count(f"→ ok. Done. ({third.run})") == 1
    assert text.index("(run-killed)") < text.index(f"({second.run})")
