"""What unfinished writes leave is swept, and nothing else is."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from argosy_core.clock import SystemClock
from argosy_core.drafts import open_draft
from argosy_core.errors import Unavailable
from argosy_core.fs import PosixFileSystem
from argosy_core.ids import SystemIds
from argosy_core.storage.files.draft_sweep import DraftSweep
from argosy_core.testing.fakes import FakeClock
from argosy_core.testing.faults import FaultyFileSystem
from argosy_core.vault import Vault

DRAFT = ".note.md.0123456789ab.tmp"
OTHERS = [
    "note.md",
    ".hidden",
    ".note.md.tmp",
    "note.md.0123456789ab.tmp",
    ".note.md.0123456789AB.tmp",
    ".git/" + DRAFT,
]


def later(seconds: float = 7200.0) -> FakeClock:
    return FakeClock(datetime.now(UTC) + timedelta(seconds=seconds))


@pytest.mark.parametrize("folder", ["", "harbor/memory/", "harbor/memory/.versions/note/", ".argosy/recovered/"])
def test_an_old_draft_is_swept_wherever_it_lies(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / folder / DRAFT).write_text("half")
    with_others = [tmp_path / folder / name for name in OTHERS]
    for path in with_others:
        path.parent.mkdir(exist_ok=True)
        path.write_text("whole")
    assert Vault(tmp_path, clock=SystemClock()).sweep() == [], "it is young: its writer may just have opened it"
    assert Vault(tmp_path, clock=later()).sweep() == [f"{folder}{DRAFT}"]
    assert not (tmp_path / folder / DRAFT).exists()
    assert all(path.read_text() == "whole" for path in with_others)


def test_the_draft_of_a_live_writer_stays_whatever_its_age(tmp_path: Path) -> None:
    fs = PosixFileSystem()
    folder = fs.open(str(tmp_path), os.O_RDONLY | os.O_DIRECTORY)
    draft, fd = open_draft(fs, folder, "note.md", SystemIds())
    vault = Vault(tmp_path, clock=later())
    assert vault.sweep() == []
    fs.close(fd)
    assert vault.sweep() == [draft]
    fs.close(folder)


def test_nothing_behind_a_link_is_swept(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / DRAFT).write_text("not ours")
    (tmp_path / "vault").mkdir()
    (tmp_path / "vault/link").symlink_to(tmp_path / "out")
    (tmp_path / "vault" / DRAFT).symlink_to(tmp_path / "out" / DRAFT)
    assert Vault(tmp_path / "vault", clock=later()).sweep() == []
    assert (tmp_path / "out" / DRAFT).read_text() == "not ours"


def test_a_draft_that_could_not_be_removed_is_swept_later(tmp_path: Path) -> None:
    fs = FaultyFileSystem(PosixFileSystem())
    vault = Vault(tmp_path, fs=fs, clock=later())
    fs.arm(1, errno.ENOSPC, for_good=True, calls={"write", "unlink"})
    with pytest.raises(Unavailable, match="disk is full"):
        vault.replace("note.md", b"text")
    fs.disarm()
    [left] = [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")]
    assert vault.sweep() == [left]


def test_a_start_sweeps_once_and_a_stop_does_not_wait_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / DRAFT).write_text("half")
    stopped = DraftSweep(Vault(tmp_path, clock=later()))
    stopped.start()
    stopped.stop()
    assert (tmp_path / DRAFT).exists()
    monkeypatch.setattr("argosy_core.storage.files.draft_sweep.START_AFTER_SECONDS", 0.0)
    sweep = DraftSweep(Vault(tmp_path, clock=later()))
    sweep.start()
    assert sweep._thread is not None
    sweep._thread.join(10)
    sweep.stop()
    assert not (tmp_path / DRAFT).exists()
