"""What is begun on the event loop stays there while there is nothing to wait for, and goes off it when there is."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from argosy_core.disks import is_local
from argosy_core.off_loop import WouldBlock, about_to_wait, here_or_off_loop, off_loop
from argosy_core.storage.near_files import REMEMBERED_SECONDS, NearFiles
from argosy_core.storage.opening import open_store
from argosy_core.testing.fakes import FakeClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def near(tmp_path: Path) -> NearFiles:
    (tmp_path / "note.md").write_text("one")
    (tmp_path / "harbor").mkdir()
    clock = FakeClock()
    return NearFiles(open_store(tmp_path, clock=clock), clock)


def mounted(folder: Path, kind: str) -> str:
    device = os.stat(folder).st_dev
    return f"27 1 {os.major(device)}:{os.minor(device)} / / rw,relatime shared:1 - {kind} /dev/x rw\n"


async def test_what_waits_for_nothing_is_done_by_the_caller_itself() -> None:
    assert await here_or_off_loop(threading.get_ident) == threading.get_ident()


async def test_what_comes_to_something_to_wait_for_is_done_by_another_thread() -> None:
    begun: list[int] = []

    def work(answer: str) -> str:
        begun.append(threading.get_ident())
        about_to_wait()
        return answer

    assert await here_or_off_loop(work, "done") == "done"
    assert len(begun) == 2 and begun[0] == threading.get_ident() != begun[1]


async def test_an_error_is_raised_where_it_is_and_nothing_is_tried_again() -> None:
    tried: list[int] = []

    def fail() -> None:
        tried.append(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await here_or_off_loop(fail)
    assert tried == [1]
    about_to_wait()  # afterwards everybody may wait again


async def test_no_handler_of_errors_takes_the_way_off_the_loop_for_one() -> None:
    def work() -> str:
        try:
            about_to_wait()
        except Exception:
            return "swallowed"
        return "waited"

    assert await here_or_off_loop(work) == "waited"
    assert not issubclass(WouldBlock, Exception)


@pytest.mark.parametrize(
    "call",
    [
        lambda files: files.read("note.md"),
        lambda files: files.read_from("note.md", 0),
        lambda files: files.info("note.md"),
        lambda files: files.replace("note.md", b"two"),
        lambda files: files.remove("note.md"),
        lambda files: files.folders(),
        lambda files: files.files(""),
        lambda files: list(files.walk("")),
        lambda files: files.stamps("", ["note.md"]),
    ],
)
async def test_no_file_is_touched_from_the_loop_before_its_folder_was_looked_at(
    near: NearFiles, call: Callable[[NearFiles], object]
) -> None:
    where: list[int] = []

    def work() -> None:
        call(near)
        where.append(threading.get_ident())

    await here_or_off_loop(work)
    assert where != [threading.get_ident()]


async def test_stamps_just_looked_at_are_given_at_once_and_tell_every_change(near: NearFiles, tmp_path: Path) -> None:
    def look() -> tuple[int, object]:
        return threading.get_ident(), near.stamps("", ["note.md", "gone.md"])

    first = await off_loop(look)
    again = await here_or_off_loop(look)
    assert again[0] == threading.get_ident() and again[1] == first[1]
    (tmp_path / "note.md").write_text("longer")
    changed = await here_or_off_loop(look)
    assert changed[0] == threading.get_ident() and changed[1] != first[1]


async def test_a_look_is_remembered_for_a_minute_and_for_its_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "harbor").mkdir()
    clock = FakeClock()
    near = NearFiles(open_store(tmp_path, clock=clock), clock)
    await off_loop(near.stamps, "", ["a.md"])

    def where(folder: str) -> int:
        near.stamps(folder, ["a.md"])
        return threading.get_ident()

    clock.advance(REMEMBERED_SECONDS)
    assert await here_or_off_loop(where, "") == threading.get_ident()
    assert await here_or_off_loop(where, "harbor") != threading.get_ident()
    clock.advance(REMEMBERED_SECONDS + 1)
    assert await here_or_off_loop(where, "") != threading.get_ident()


async def test_over_a_database_or_another_machines_disk_nothing_is_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    monkeypatch.setattr("argosy_core.storage.near_files.is_local", lambda folder: False)
    near = NearFiles(open_store(tmp_path, clock=clock), clock)

    def where() -> int:
        near.stamps("", ["a.md"])
        return threading.get_ident()

    await here_or_off_loop(where)
    assert await here_or_off_loop(where) != threading.get_ident()
    monkeypatch.undo()
    (tmp_path / "db").mkdir()
    database = open_store(tmp_path / "db", f"sqlite:///{tmp_path}/vault.db", clock=clock, create=True)
    near = NearFiles(database, clock)
    await here_or_off_loop(where)
    assert await here_or_off_loop(where) != threading.get_ident()
    database.close()


@pytest.mark.parametrize(("kind", "local"), [("ext4", True), ("tmpfs", True), ("nfs4", False), ("fuse.sshfs", False)])
def test_a_disk_is_local_when_the_kernel_says_so(tmp_path: Path, kind: str, local: bool) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text("22 27 0:999 / /sys rw - sysfs sysfs rw\n" + mounted(tmp_path, kind))
    assert is_local(tmp_path, mounts) is local


def test_a_disk_of_which_nothing_is_said_is_none_of_ours(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    assert not is_local(tmp_path, mounts)
    mounts.write_text("half a line\n")
    assert not is_local(tmp_path, mounts)
    mounts.write_text(mounted(tmp_path, "ext4") + mounted(tmp_path, "fuse"))  # which of the two it is
    assert not is_local(tmp_path, mounts)
    assert not is_local(tmp_path / "gone")
