"""The order of real system calls, seen by strace: what is acknowledged was synced, through the servers' own code."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest
from children import ROOT, environment
from syscalls import Call, Laws, parse, trace, why_not
from traced_writer import ROUNDS

REASON = why_not()
traced = pytest.mark.skipif(REASON is not None, reason=f"THE ORDER OF SYSTEM CALLS WAS NOT CHECKED: {REASON}")
ACKS_A_ROUND = 6
BROKEN_BY = {
    "no file is synced": {"R1", "R5"},
    "no folder is synced": {"R2"},
    "written in place": {"R3"},
    "synced after the rename": {"R1"},
    "acknowledged before it is written": {"R4"},
    "a group commit acknowledges before the sync": {"R5"},
}


def traced_laws(tmp_path: Path, *bugs: str) -> Laws:
    vault = tmp_path / "vault"
    (vault / "harbor").mkdir(parents=True)
    (vault / "harbor/model.md").write_text("# MODEL\n")
    writer = [sys.executable, "-P", f"{ROOT}/tests/support/traced_writer.py", str(vault), *bugs]
    env = environment()
    env["PYTHONPATH"] += f":{ROOT}/tests/support"
    return Laws(str(vault.resolve())).follow(trace(writer, tmp_path / "trace", env))


def test_a_missing_tracer_is_a_failure_where_all_must_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CI", raising=False)
    assert why_not() == "strace is not installed"
    monkeypatch.setenv("CI", "true")
    assert why_not() is None


@traced
def test_every_acknowledgement_of_the_servers_comes_after_its_syncs(tmp_path: Path) -> None:
    laws = traced_laws(tmp_path)
    assert laws.acknowledged == ROUNDS * ACKS_A_ROUND
    assert laws.broken == []
    assert sum(count for path, count in laws.synced.items() if path.endswith(".jsonl")) >= ROUNDS


@pytest.mark.soak
@traced
@pytest.mark.parametrize(
    "bug",
    BROKEN_BY,
)
def test_a_writer_with_a_bug_is_caught_by_its_calls(bug: str, tmp_path: Path) -> None:
    laws = traced_laws(tmp_path, bug)
    found = Counter(problem[:2] for problem in laws.broken)
    assert set(found) & BROKEN_BY[bug], laws.broken


def test_a_trace_of_several_threads_is_read_in_the_order_of_the_ends() -> None:
    lines = [
        '11 openat(5</v/harbor>, ".a.md.0.tmp", O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600) = 7</v/harbor/.a>',
        '11 write(7</v/harbor/.a.md.0.tmp>, "text"..., 4) = 4',
        "11 fsync(7</v/harbor/.a.md.0.tmp> <unfinished ...>",
        '12 openat(AT_FDCWD</v>, "/v/x", O_RDONLY) = -1 ENOENT (No such file or directory)',
        "11 <... fsync resumed>)             = 0",
        '11 renameat(5</v/harbor>, ".a.md.0.tmp", 5</v/harbor>, "a.md") = 0',
        "+++ exited with 0 +++",
    ]
    assert [(call.name, call.paths) for call in parse(lines)] == [
        ("open", ("/v/harbor/.a.md.0.tmp",)),
        ("write", ("/v/harbor/.a.md.0.tmp",)),
        ("fsync", ("/v/harbor/.a.md.0.tmp",)),
        ("rename", ("/v/harbor/.a.md.0.tmp", "/v/harbor/a.md")),
    ]


ACK = Call("write", ("pipe",), "ACK x h")
DRAFT, NOTE, FOLDER = "/v/h/.a.0.tmp", "/v/h/a.md", "/v/h"
WRITE, SYNC = Call("write", (DRAFT,)), Call("fsync", (DRAFT,))
RENAME, SYNC_FOLDER = Call("rename", (DRAFT, NOTE)), Call("fsync", (FOLDER,))


@pytest.mark.parametrize(
    ("calls", "broken"),
    [
        ([WRITE, SYNC, RENAME, SYNC_FOLDER, ACK], []),
        ([WRITE, RENAME, SYNC_FOLDER, ACK], ["R1"]),
        ([WRITE, SYNC, RENAME, ACK, SYNC_FOLDER], ["R2", "R4"]),
        ([Call("write", (NOTE,)), Call("fsync", (NOTE,)), ACK], ["R3"]),
        ([WRITE, SYNC, RENAME, SYNC_FOLDER, ACK, ACK], ["R4"]),
        ([Call("open", (NOTE,), flags="O_APPEND"), Call("write", (NOTE,)), ACK], ["R5", "R4"]),
        ([Call("open", (NOTE,), flags="O_APPEND"), Call("write", (NOTE,)), Call("fdatasync", (NOTE,)), ACK], []),
        ([Call("write", ("/v/.argosy/index.sqlite",)), WRITE, SYNC, RENAME, SYNC_FOLDER, ACK], []),
    ],
)
def test_each_law_finds_what_breaks_it(calls: list[Call], broken: list[str]) -> None:
    assert [problem[:2] for problem in Laws("/v").follow(calls).broken] == broken
