"""Locks between threads and processes: exclusive, bounded, and independent of the folder they lie in."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from argosy_core.clock import SystemClock
from argosy_core.errors import ArgosyError, PermissionDenied, Unavailable
from argosy_core.fs import PosixFileSystem
from argosy_core.locks import MAX_KEPT_OPEN, LockFolder
from argosy_core.testing.fakes import FakeClock
from argosy_core.testing.faults import FaultyFileSystem

HOLD = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(fd, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def locks(tmp_path: Path) -> LockFolder:
    return another(tmp_path)


def another(root: Path) -> LockFolder:
    """What another process would have: a lock folder object of its own over the same folder."""
    return LockFolder(str(root / ".argosy/locks"), PosixFileSystem(), SystemClock())


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("same_object", [True, False])
def test_a_held_lock_is_refused_after_the_wait(locks: LockFolder, tmp_path: Path, same_object: bool) -> None:
    other = locks if same_object else another(tmp_path)
    with locks.hold("a"):
        with pytest.raises(Unavailable, match="in use") as caught, other.hold("a", wait_seconds=0.01):
            pytest.fail("two holders")
        assert caught.value.retryable
        with other.hold("b", wait_seconds=0):
            pass
    with other.hold("a", wait_seconds=0):
        pass


def test_waiting_is_counted_by_the_clock(tmp_path: Path) -> None:
    clock = FakeClock()
    waiting = LockFolder(str(tmp_path / ".argosy/locks"), PosixFileSystem(), clock)
    with another(tmp_path).hold("a"), pytest.raises(Unavailable), waiting.hold("a", wait_seconds=60):
        pytest.fail("two holders")
    assert 60 <= clock.monotonic() < 61


def test_a_lock_is_free_after_an_error(locks: LockFolder, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locks.hold("a"):
        _ = 1 / 0
    with another(tmp_path).hold("a", wait_seconds=0):
        pass


def test_threads_take_turns(tmp_path: Path) -> None:
    folders = [another(tmp_path), another(tmp_path)]
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(25):
            with folders[number % 2].hold("a"):
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(most) == 150
    assert set(most) == {1}


def test_a_process_that_dies_frees_its_lock(locks: LockFolder, tmp_path: Path) -> None:
    with locks.hold("a"):
        pass
    path = str(tmp_path / ".argosy/locks/a.lock")
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(Unavailable), locks.hold("a", wait_seconds=0):
            pytest.fail("two holders")
        process.kill()
        process.wait(10)
        with locks.hold("a", wait_seconds=5):
            pass


def test_after_the_folder_was_deleted_those_who_come_exclude_each_other(locks: LockFolder, tmp_path: Path) -> None:
    with locks.hold("a"):
        shutil.rmtree(tmp_path / ".argosy")
        with (
            another(tmp_path).hold("a", wait_seconds=0),
            pytest.raises(Unavailable),
            another(tmp_path).hold("a", wait_seconds=0.01),
        ):
            pytest.fail("two holders")


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("a/b", "a%2fb"),
        ("a%2fb", "a%252fb"),
        ("x" * 300, "x" * 301),
        ("日" * 100, "日" * 101),
        ("/".join(["d" * 200] * 32), "/".join(["d" * 200] * 31)),
        ("root", "Root"),
    ],
)
def test_different_names_are_different_locks(locks: LockFolder, one: str, two: str) -> None:
    with locks.hold(one), locks.hold(two, wait_seconds=0), pytest.raises(Unavailable), locks.hold(one, wait_seconds=0):
        pytest.fail("two holders")


def test_the_folder_is_private_and_made_when_needed(locks: LockFolder, tmp_path: Path) -> None:
    with locks.hold("a"):
        pass
    for path in (tmp_path / ".argosy", tmp_path / ".argosy/locks"):
        assert path.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_used_is_an_error_of_the_tree(tmp_path: Path) -> None:
    (tmp_path / ".argosy").write_text("a file where the folder should be")
    with pytest.raises(PermissionDenied), another(tmp_path).hold("a"):
        pytest.fail("no lock was taken")


def test_a_lock_file_that_is_a_link_is_refused(locks: LockFolder, tmp_path: Path) -> None:
    with locks.hold("a"):
        pass
    (tmp_path / "outside").write_text("theirs")
    (tmp_path / ".argosy/locks/b.lock").symlink_to(tmp_path / "outside")
    with pytest.raises(ArgosyError), locks.hold("b"):
        pytest.fail("no lock was taken")


def test_no_descriptor_is_left_behind(locks: LockFolder, tmp_path: Path) -> None:
    other = another(tmp_path)
    before = open_files()
    for number in range(20):
        with locks.hold(f"n{number}"), pytest.raises(Unavailable), other.hold(f"n{number}", wait_seconds=0):
            pytest.fail("two holders")
    locks.close()
    assert open_files() == before


def test_the_file_of_a_lock_stays_open_between_and_few_do(locks: LockFolder) -> None:
    before = open_files()
    for _ in range(3):
        for number in range(40):
            with locks.hold(f"lock{number}"):
                pass
    assert open_files() - before == MAX_KEPT_OPEN
    locks.close()
    assert open_files() == before
    with locks.hold("lock1"):  # and it can be held again
        pass


def test_a_lock_kept_open_notices_that_its_folder_was_deleted(locks: LockFolder, tmp_path: Path) -> None:
    with locks.hold("a"):
        pass
    shutil.rmtree(tmp_path / ".argosy")
    with locks.hold("a"), pytest.raises(Unavailable), another(tmp_path).hold("a", wait_seconds=0):
        pytest.fail("two holders")


def test_a_forked_child_waits_for_its_parents_lock(locks: LockFolder) -> None:
    with locks.hold("a"):
        pass
    heard, said = os.pipe()
    with locks.hold("b"), locks.hold("a"):
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                held = "nothing"
                try:
                    with locks.hold("a", wait_seconds=0.01):
                        held = "a"
                except Unavailable:
                    held = "refused"
                os.write(said, held.encode())
            os._exit(0)
        os.waitpid(child, 0)
    assert os.read(heard, 100) == b"refused"
    os.close(heard)
    os.close(said)


def test_a_forked_child_shares_no_free_lock_with_its_parent(locks: LockFolder, tmp_path: Path) -> None:
    with locks.hold("a"):
        pass  # and its file stays open
    heard, said = os.pipe()
    go_on, told = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException), locks.hold("a"):
            os.write(said, b"held")
            os.read(go_on, 1)
        os._exit(0)
    assert os.read(heard, 100) == b"held"
    for other in (locks, another(tmp_path)):
        with pytest.raises(Unavailable), other.hold("a", wait_seconds=0.01):
            pytest.fail("two holders")
    os.write(told, b".")
    os.waitpid(child, 0)
    with locks.hold("a", wait_seconds=1):
        pass
    for fd in (heard, said, go_on, told):
        os.close(fd)


def test_a_lock_that_cannot_be_let_go_is_closed(tmp_path: Path) -> None:
    faulty = FaultyFileSystem(PosixFileSystem())
    locks = LockFolder(str(tmp_path / ".argosy/locks"), faulty, SystemClock())
    faulty.arm(1, errno.EIO, calls={"unlock"})
    with locks.hold("a"):
        pass
    assert faulty.disarm()
    with another(tmp_path).hold("a", wait_seconds=0):
        pass
