"""Folders that stay open between calls are the ones that stand there, and no more of them than a few."""

from __future__ import annotations

import os
import shutil
import stat
import threading
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from argosy_core.errors import ArgosyError, NotFound, PermissionDenied
from argosy_core.fs import PosixFileSystem
from argosy_core.vault import Vault
from argosy_core.walk import MAX_KEPT

DEEP = "harbor/memory/a.md"


class Counted(PosixFileSystem):
    """The real one, which counts what is open and what was synced."""

    def __init__(self) -> None:
        self.opened: set[int] = set()
        self.synced: list[str] = []

    def open(self, name: str, flags: int, *, dir_fd: int | None = None, mode: int = 0o600) -> int:
        fd = super().open(name, flags, dir_fd=dir_fd, mode=mode)
        self.opened.add(fd)
        return fd

    def close(self, fd: int) -> None:
        self.opened.remove(fd)
        super().close(fd)

    def fsync(self, fd: int) -> None:
        self.synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        super().fsync(fd)


class Reusing(Counted):
    """A disk that gives a folder the number that the one before it at its place had."""

    def fstat(self, fd: int) -> os.stat_result:
        return self._numbered(super().fstat(fd), os.readlink(f"/proc/self/fd/{fd}"))

    def stat(self, name: str, *, dir_fd: int | None = None) -> os.stat_result:
        found = super().stat(name, dir_fd=dir_fd)
        folder = "" if dir_fd is None else os.readlink(f"/proc/self/fd/{dir_fd}")
        return self._numbered(found, os.path.join(folder, name))

    def _numbered(self, found: os.stat_result, path: str) -> os.stat_result:
        number = zlib.crc32(path.encode()) if stat.S_ISDIR(found.st_mode) else found.st_ino
        return os.stat_result((found.st_mode, number, *found[2:]), {"st_mtime_ns": found.st_mtime_ns})


@contextmanager
def opened(folder: Path, fs: Counted | None = None) -> Generator[tuple[Vault, Counted]]:
    (folder / "vault").mkdir()
    fs = fs or Counted()
    vault = Vault(folder / "vault", fs=fs)
    vault.replace(DEEP, b"first")
    try:
        yield vault, fs
    finally:
        vault.close()


def is_refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except PermissionDenied:
        return True
    return False


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with opened(tmp_path) as (vault, _):
        yield vault


def counted(vault: Vault) -> Counted:
    assert isinstance(vault.fs, Counted)
    return vault.fs


def test_what_stands_in_a_folders_place_is_used_and_not_what_stood_there(vault: Vault) -> None:
    for name in ("harbor", "harbor/memory"):
        moved = vault.root / f"{name} of before"
        (vault.root / name).rename(moved)
        with pytest.raises(NotFound):
            vault.read(DEEP)
        (vault.root / DEEP).parent.mkdir(parents=True)
        (vault.root / DEEP).write_bytes(b"other")
        assert vault.read(DEEP).data == b"other", name
        vault.replace(DEEP, name.encode())
        assert (vault.root / DEEP).read_bytes() == name.encode()
        assert name.encode() not in [file.read_bytes() for file in moved.rglob("*.md")]


@pytest.mark.parametrize("name", ["harbor", "harbor/memory"])
def test_a_link_that_came_in_a_folders_place_is_not_followed(tmp_path: Path, name: str) -> None:
    with opened(tmp_path) as (vault, _):
        (vault.root / name).rename(tmp_path / "elsewhere")
        (vault.root / name).symlink_to(tmp_path / "elsewhere")
        calls = (lambda: vault.read(DEEP), lambda: vault.replace(DEEP, b"x"), lambda: vault.append(DEEP, b"x"))
        assert [is_refused(call) for call in calls] == [True] * 3
    assert [file.read_bytes() for file in (tmp_path / "elsewhere").rglob("*.md")] == [b"first"]


def test_a_folder_made_again_is_made_durable_again(tmp_path: Path) -> None:
    with opened(tmp_path, Reusing()) as (vault, fs):
        for gone in ("harbor", "harbor/memory", "harbor"):
            shutil.rmtree(vault.root / gone)
            fs.synced.clear()
            vault.replace(DEEP, b"again")
            assert str((vault.root / gone).parent) in fs.synced, gone
        for number in range(MAX_KEPT):
            vault.files(f"other{number}")
            vault.replace(f"other{number}/a.md", b"x")
        shutil.rmtree(vault.root / "harbor")  # which is not kept open any more
        fs.synced.clear()
        vault.replace(DEEP, b"again")
        assert {str(vault.root), str(vault.root / "harbor")} <= set(fs.synced)


def test_a_folder_that_was_read_in_first_is_durable_once_something_is_written_to_it(vault: Vault) -> None:
    (vault.root / "other").mkdir()
    (vault.root / "other/a.md").write_bytes(b"x")
    assert vault.read("other/a.md").data == b"x"
    counted(vault).synced.clear()
    vault.replace("other/b.md", b"y")
    assert str(vault.root) in counted(vault).synced


def test_only_a_few_folders_stay_open_and_none_after_the_end(vault: Vault) -> None:
    for number in range(3 * MAX_KEPT):
        vault.replace(f"agent{number}/memory/a.md", b"x")
        vault.replace("harbor/b.md", b"y")
    before = len(counted(vault).opened)
    assert before <= MAX_KEPT + 10
    vault.files("harbor")
    assert len(counted(vault).opened) == before
    vault.close()
    assert not counted(vault).opened


def test_threads_in_more_folders_than_stay_open_do_not_close_each_others(vault: Vault) -> None:
    problems: list[ArgosyError] = []

    def work(own: int) -> None:
        try:
            for turn in range(60):
                path = f"agent{(own * 7 + turn) % (2 * MAX_KEPT)}/memory/n{own}.md"
                vault.replace(path, f"{own} {turn}".encode())
                assert vault.read(path).data == f"{own} {turn}".encode()
                vault.files(path.rpartition("/")[0])
        except ArgosyError as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(own,)) for own in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    vault.close()
    assert not counted(vault).opened


def test_a_listing_beside_others_is_whole(vault: Vault) -> None:
    for number in range(300):
        (vault.root / f"harbor/memory/n{number}.md").write_bytes(b"x")
    lists: list[int] = []
    threads = [threading.Thread(target=lambda: lists.append(len(vault.files("harbor/memory")))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lists == [301] * 12
