"""The last runs of an agent are read from the end of its log, and cost no more when the log is long."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread

from argosy_core.serving.config import open_store
from argosy_core.storage.base import Files, Store
from argosy_core.views.ended_runs import MAX_READ_BYTES, EndedRun, ended_runs


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada/model.md").write_text("# Model\n", encoding="utf-8")
    store = open_store(tmp_path)
    yield store
    store.close()


def line(kind: str, run: str, **fields: Any) -> str:
    return json.dumps({"kind": kind, "run_id": run, "writer": "host", "ts": "2026-11-20T09:00:00Z", **fields}) + "\n"


def began(run: str, task: str = "Trim the wick") -> str:
    return line("run.start", run, task=task)


def ended(run: str, **fields: Any) -> str:
    return line("run.end", run, **{"status": "ok", "cost_usd": 0.5, **fields})


def write(root: Path, day: str, text: str) -> None:
    path = root / f"ada/log/{day[:7]}/{day}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def names(found: list[EndedRun]) -> list[str]:
    return [each.run for each in found]


def test_an_agent_that_never_ran_has_none(store: Store) -> None:
    assert ended_runs(store.files, "ada") == []


def test_the_newest_come_first_over_days_and_months(store: Store, tmp_path: Path) -> None:
    write(tmp_path, "2026-10-31", "".join(began(f"a{n}") + ended(f"a{n}") for n in range(4)))
    write(tmp_path, "2026-11-01", began("b") + ended("b", status="blocked") + began("goes on"))
    found = ended_runs(store.files, "ada")
    assert names(found) == ["b", "a3", "a2", "a1", "a0"]
    assert found[0] == EndedRun("b", "blocked", "2026-11-20T09:00:00Z", 0.5, "Trim the wick")


def test_the_run_that_asks_and_what_others_wrote_do_not_count(store: Store, tmp_path: Path) -> None:
    forged = ended("forged", writer="memory") + line("note", "x", text='"run.end"') + "{broken " + '"run.end"\n'
    write(tmp_path, "2026-11-01", began("a") + ended("a") + forged + ended("mine"))
    assert names(ended_runs(store.files, "ada", but="mine")) == ["a"]


def test_a_run_that_ended_twice_is_told_as_it_ended_last(store: Store, tmp_path: Path) -> None:
    write(tmp_path, "2026-11-01", began("a") + ended("a", status="deferred") + ended("a", status="error"))
    assert [(each.run, each.state) for each in ended_runs(store.files, "ada")] == [("a", "error")]


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ("\n  One \t line\nand another", "One line"),
        ("x" * 500, "x" * 119 + "…"),
        ("", ""),
        (None, ""),
        (7, "7"),
    ],
)
def test_of_a_task_the_first_line_is_told_cut_short(store: Store, tmp_path: Path, task: Any, told: str) -> None:
    write(tmp_path, "2026-11-01", began("a", task) + ended("a", cost_usd=None))
    assert [(each.task, each.cost_usd) for each in ended_runs(store.files, "ada")] == [(told, 0.0)]


class Counted:
    """Files that say how much was read of them."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.folders, self.files = files.folders, files.files
        self.bytes = 0

    def read_from(self, path: str, offset: int, max_bytes: int | None = None) -> bytes:
        data = self._files.read_from(path, offset, max_bytes)
        self.bytes += len(data)
        return data


def test_a_long_log_is_read_no_further_than_a_bound(store: Store, tmp_path: Path) -> None:
    noise = line("tool.call", "x", text="y" * 900)
    old = "".join(began(f"old{n}") + ended(f"old{n}") for n in range(9))
    write(tmp_path, "2026-11-01", old + noise * 4_000)
    write(tmp_path, "2026-11-02", began("far") + noise * 200 + ended("far") + began("near") + ended("near"))
    counted: Any = Counted(store.files)
    assert [(each.run, each.task) for each in ended_runs(counted, "ada")] == [
        ("near", "Trim the wick"),
        ("far", "Trim the wick"),
    ]
    assert 0 < counted.bytes <= MAX_READ_BYTES


def test_a_run_whose_beginning_lies_too_far_back_is_told_without_its_task(store: Store, tmp_path: Path) -> None:
    write(tmp_path, "2026-11-01", began("a") + line("tool.call", "x", text="y" * 900) * 600 + ended("a"))
    assert [(each.run, each.task) for each in ended_runs(store.files, "ada")] == [("a", "")]


@pytest.mark.anyio
async def test_a_vault_in_a_database_has_the_same_runs(tmp_path: Path) -> None:
    store = open_store(tmp_path, "sqlite:///fleet.sqlite", create=True)
    try:
        await store.documents.write("ada/model.md", b"# Model\n")
        for run in ("a", "b"):
            for kind, fields in (("run.start", {"task": run * 3}), ("run.end", {"status": "ok", "cost_usd": 1})):
                await store.chain.append("ada", "host", {"kind": kind, "run_id": run, **fields})
        found = await to_thread.run_sync(ended_runs, store.files, "ada")
    finally:
        await to_thread.run_sync(store.close)
    assert [(each.run, each.task, each.cost_usd) for each in found] == [("b", "bbb", 1.0), ("a", "aaa", 1.0)]
