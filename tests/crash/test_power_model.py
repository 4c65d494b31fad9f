"""The file system that loses power: sound programs pass over it, and every unsound one is caught."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from argosy_core.testing.power import Crash, PowerFileSystem, crashes, disk_with

ROOT = "/vault"
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
OLD_TEXT = b"old " * 300
NEW_TEXT = b"new!" * 1500  # more than a block
Acknowledge = Callable[[object], None]
LINES = [b"%d " % number + b"x" * 300 + b"\n" for number in range(20)]  # several blocks in all


class Disk:
    """The calls of a small program."""

    def __init__(self, fs: PowerFileSystem) -> None:
        self.fs = fs
        self.folder = fs.open(ROOT, os.O_RDONLY | os.O_DIRECTORY)

    def write(self, name: str, data: bytes, *, sync: bool = True, flags: int = NEW) -> None:
        fd = self.fs.open(name, flags, dir_fd=self.folder)
        self.fs.write(fd, data)
        if sync:
            self.fs.fsync(fd)
        self.fs.close(fd)

    def rename(self) -> None:
        self.fs.rename("tmp", "note", dir_fd=self.folder)

    def sync_folder(self) -> None:
        self.fs.fsync(self.folder)


def replace_soundly(disk: Disk, acknowledge: Acknowledge) -> None:
    disk.write("tmp", NEW_TEXT)
    disk.rename()
    disk.sync_folder()
    acknowledge("new")


def replace_without_syncing(disk: Disk, acknowledge: Acknowledge) -> None:
    disk.write("tmp", NEW_TEXT, sync=False)
    disk.rename()
    disk.sync_folder()
    acknowledge("new")


def replace_without_syncing_the_folder(disk: Disk, acknowledge: Acknowledge) -> None:
    disk.write("tmp", NEW_TEXT)
    disk.rename()
    acknowledge("new")


def replace_in_place(disk: Disk, acknowledge: Acknowledge) -> None:
    disk.write("note", NEW_TEXT, flags=os.O_WRONLY | os.O_TRUNC)
    acknowledge("new")


def replace_and_sync_late(disk: Disk, acknowledge: Acknowledge) -> None:
    disk.write("tmp", NEW_TEXT, sync=False)
    disk.rename()
    fd = disk.fs.open("note", os.O_RDONLY, dir_fd=disk.folder)
    disk.fs.fsync(fd)
    disk.sync_folder()
    acknowledge("new")


def replace_and_say_so_early(disk: Disk, acknowledge: Acknowledge) -> None:
    acknowledge("new")
    replace_soundly(disk, lambda _: None)


def append_soundly(disk: Disk, acknowledge: Acknowledge) -> None:
    disk.write("log", b"", flags=APPEND)
    disk.sync_folder()
    for line in LINES:
        disk.write("log", line, flags=APPEND)
        acknowledge(line)


def append_without_syncing(disk: Disk, acknowledge: Acknowledge) -> None:
    disk.write("log", b"", flags=APPEND)
    disk.sync_folder()
    for line in LINES:
        disk.write("log", line, flags=APPEND, sync=False)
        acknowledge(line)


def append_to_a_file_of_no_folder(disk: Disk, acknowledge: Acknowledge) -> None:
    for line in LINES[:3]:
        disk.write("log", line, flags=APPEND)
        acknowledge(line)


def note_problem(crash: Crash) -> bool:
    found = dict(crash.disk.files()).get("note")
    return found != NEW_TEXT and (found != OLD_TEXT or bool(crash.acknowledged))


def log_problem(crash: Crash) -> bool:
    kept = dict(crash.disk.files()).get("log", b"")
    return not kept.startswith(b"".join(crash.acknowledged))


def crashes_of(program: Callable[[Disk, Acknowledge], None]) -> list[Crash]:
    fs = PowerFileSystem(ROOT, disk_with({"note": OLD_TEXT}))
    disk = Disk(fs)
    return crashes(fs, lambda acknowledge: program(disk, acknowledge))


@pytest.mark.parametrize(
    ("program", "problem"),
    [(replace_soundly, note_problem), (append_soundly, log_problem)],
    ids=["replace", "append"],
)
def test_a_sound_program_is_not_accused(program: Callable[..., None], problem: Callable[[Crash], bool]) -> None:
    found = crashes_of(program)
    assert len(found) > 15
    assert [crash for crash in found if problem(crash)] == []


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        *(
            (program, note_problem)
            for program in (
                replace_without_syncing,
                replace_without_syncing_the_folder,
                replace_in_place,
                replace_and_sync_late,
                replace_and_say_so_early,
            )
        ),
        (append_without_syncing, log_problem),
        (append_to_a_file_of_no_folder, log_problem),
    ],
)
def test_an_unsound_program_is_caught(program: Callable[..., None], problem: Callable[[Crash], bool]) -> None:
    assert any(map(problem, crashes_of(program)))


def test_what_was_synced_never_goes_again() -> None:
    fs = PowerFileSystem(ROOT, disk_with({"log": b"kept\n"}))
    disk = Disk(fs)
    found = crashes(fs, lambda _: disk.write("log", b"x" * 9000, flags=APPEND, sync=False))
    assert {dict(crash.disk.files())["log"][:5] for crash in found} == {b"kept\n"}


def test_a_file_may_be_torn_at_a_sector_lack_a_block_or_have_its_size_alone() -> None:
    fs = PowerFileSystem(ROOT, disk_with({"log": b""}))
    disk = Disk(fs)
    left = {
        dict(crash.disk.files())["log"]
        for crash in crashes(fs, lambda _: disk.write("log", b"x" * 9000, flags=APPEND, sync=False))
    }
    assert {b"", b"x" * 512, b"x" * 4096, b"x" * 4608, b"x" * 8704, b"x" * 9000} <= left
    assert bytes(9000) in left
    assert b"x" * 4096 + bytes(4096) + b"x" * 808 in left
    assert all(len(data) % 512 in (0, 9000 % 512) for data in left)


def test_changes_of_a_folder_may_each_be_missing() -> None:
    fs = PowerFileSystem(ROOT, disk_with({"a": b"", "b": b""}))
    disk = Disk(fs)

    def remove_both(_: object) -> None:
        for name in "ab":
            fs.unlink(name, dir_fd=disk.folder)

    assert {tuple(name for name, _ in c.disk.entries) for c in crashes(fs, remove_both)} == {
        ("a", "b"),
        ("a",),
        ("b",),
        (),
    }


def test_a_failed_sync_loses_its_pages_and_a_second_one_does_not_bring_them_back() -> None:
    fs = PowerFileSystem(ROOT, disk_with({"log": b"kept\n"}))
    fd = fs.open(f"{ROOT}/log", APPEND)
    fs.write(fd, b"lost\n")
    fs.break_syncs()
    with pytest.raises(OSError, match="Input/output"):
        fs.fsync(fd)
    fs.fsync(fd)
    assert fs.pread(fd, 100, 0) == b"kept\nlost\n"
    left = {dict(crash.disk.files())["log"] for crash in crashes(fs, lambda acknowledge: acknowledge(1))}
    assert left == {b"kept\n"}


def test_a_large_number_of_disks_is_sampled_the_same_way_for_the_same_seed() -> None:
    def run(seed: int) -> list[Crash]:
        fs = PowerFileSystem(ROOT, disk_with({}))
        disk = Disk(fs)

        def program(_: object) -> None:
            for number in range(5):
                disk.write(f"file{number}", b"x" * 9000, sync=False)

        return crashes(fs, program, limit=50, seed=seed)

    assert len(run(1)) < 10_000
    assert [crash.disk for crash in run(1)] == [crash.disk for crash in run(1)]
    assert [crash.disk for crash in run(1)] != [crash.disk for crash in run(2)]
