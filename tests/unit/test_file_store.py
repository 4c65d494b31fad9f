"""What the files store does beyond the promises of the suites: cancelled tasks, descriptors, odd names, slow clocks."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from anyio import to_thread

from argosy_core.clock import SystemClock
from argosy_core.errors import ArgosyError, Conflict, Unavailable
from argosy_core.fs import PosixFileSystem
from argosy_core.ids import SystemIds
from argosy_core.locks import MAX_KEPT_OPEN
from argosy_core.storage.files.chain import MAX_HELD_FILES
from argosy_core.storage.files.store import FileStore
from argosy_core.vault import Vault
from argosy_core.walk import MAX_KEPT

pytestmark = pytest.mark.anyio
WAIT_SECONDS = 10


class Gate(PosixFileSystem):
    """A disk whose syncs wait to be let through, one by one."""

    def __init__(self) -> None:
        self.closed = False
        self._reached, self._let = threading.Semaphore(0), threading.Semaphore(0)

    def fsync(self, fd: int) -> None:
        if self.closed:
            self._reached.release()
            assert self._let.acquire(timeout=WAIT_SECONDS)
        super().fsync(fd)

    async def reached(self) -> None:
        assert await to_thread.run_sync(lambda: self._reached.acquire(timeout=WAIT_SECONDS))

    def let_through(self) -> None:
        self._let.release()


def open_store(root: Path, fs: PosixFileSystem | None = None) -> FileStore:
    (root / "harbor").mkdir(exist_ok=True)
    return FileStore(Vault(root, fs=fs), SystemClock(), SystemIds())


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_a_task_cancelled_while_it_writes_for_others_costs_them_nothing(tmp_path: Path) -> None:
    gate = Gate()
    store = open_store(tmp_path, gate)
    await store.chain.append("harbor", "w", {"n": 0})
    gate.closed = True
    first = asyncio.create_task(store.chain.append("harbor", "w", {"n": 1}))
    await gate.reached()
    others = [asyncio.create_task(store.chain.append("harbor", "w", {"n": n})) for n in (2, 3, 4)]
    await asyncio.wait(others, timeout=0)
    gate.let_through()
    assert (await first).seq == 2
    await gate.reached()
    others[0].cancel()  # it writes for all three; a task's own cancel goes past every shield
    with pytest.raises(asyncio.CancelledError):
        await others[0]
    assert not others[1].done()
    late = asyncio.create_task(store.chain.append("harbor", "w", {"n": 5}))
    gate.let_through()
    assert [(await task).event["n"] for task in others[1:]] == [3, 4]
    await gate.reached()
    gate.let_through()
    assert (await late).event == {"n": 5}
    gate.closed = False
    assert (await store.chain.append("harbor", "w", {"n": 6})).seq == 7
    report = await store.chain.verify("harbor")
    assert (report.entries, report.findings) == (7, ())
    store.close()


async def test_a_task_cancelled_while_it_waits_leaves_the_queue(tmp_path: Path) -> None:
    gate = Gate()
    store = open_store(tmp_path, gate)
    await store.chain.append("harbor", "w", {})
    gate.closed = True
    first = asyncio.create_task(store.chain.append("harbor", "w", {"n": 1}))
    await gate.reached()
    waiting = [asyncio.create_task(store.chain.append("harbor", "w", {"n": n})) for n in (2, 3)]
    await asyncio.wait(waiting, timeout=0)
    waiting[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    gate.closed = False
    gate.let_through()
    assert [(await first).seq, (await waiting[1]).seq] == [2, 3]
    assert [line.get("n") async for line in store.chain.scan("harbor")] == [None, 1, 3]
    assert store.chain._gathering._lanes == {}
    store.close()


async def test_many_streams_hold_few_files_and_closing_lets_them_go(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    names = [f"agent{n}" for n in range(60)]
    for name in names:
        (tmp_path / name).mkdir()
    before = open_files()
    for _ in range(3):
        for name in names:
            await store.chain.append(name, "w", {})
        assert open_files() <= before + MAX_HELD_FILES + MAX_KEPT_OPEN + MAX_KEPT + 4
    await to_thread.run_sync(store.chain.close)
    assert open_files() <= before + MAX_KEPT_OPEN + MAX_KEPT
    assert (await store.chain.append("agent0", "w", {})).seq == 4
    report = await store.chain.verify()
    assert (report.entries, report.findings) == (181, ())
    store.close()


async def test_an_agents_folder_that_is_gone_is_not_made_again_by_its_log(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await store.chain.append("harbor", "w", {})
    (tmp_path / "harbor").rename(tmp_path / "haven")
    with pytest.raises(ArgosyError, match="no agent"):
        await store.chain.append("harbor", "w", {})
    assert not (tmp_path / "harbor").exists()
    store.close()


async def test_a_full_disk_fails_the_append_and_the_next_one_works(tmp_path: Path) -> None:
    class Full(PosixFileSystem):
        full = False

        def write(self, fd: int, data: bytes | memoryview) -> int:
            if self.full:
                super().write(fd, data[: len(data) // 2])
                raise OSError(28, "No space left on device")
            return super().write(fd, data)

    fs = Full()
    store = open_store(tmp_path, fs)
    await store.chain.append("harbor", "w", {})
    fs.full = True
    with pytest.raises(Unavailable, match="disk is full"):
        await store.chain.append("harbor", "w", {})
    fs.full = False
    assert (await store.chain.append("harbor", "w", {})).seq == 2
    assert (await store.chain.verify("harbor")).findings == ()
    store.close()


async def test_names_that_nobody_can_ask_for_do_not_hide_the_others(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await store.documents.write("harbor/memory/a.md", b"x")
    await store.chain.append("harbor", "w", {})
    for name in (b"\xff\xfe", b"back\\slash", "zero\u200bwidth".encode(), b"x" * 220, b"line\nbreak"):
        for folder in (b"", b"/harbor", b"/harbor/memory", b"/harbor/log"):
            os.mkdir(os.fsencode(tmp_path) + folder + b"/" + name)
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/harbor/memory/" + name)) / "b.md").write_text("x")
    listed = await store.documents.list("harbor/memory", ".md", deep=True)
    assert [info.path for info in listed] == ["harbor/memory/a.md"]
    assert await store.documents.folders() == ["harbor"]
    assert await store.chain.streams() == ["harbor"]
    assert (await store.chain.append("harbor", "w", {})).seq == 2
    store.close()


async def test_a_stamp_changes_even_where_the_kernels_clock_stands_still(tmp_path: Path) -> None:
    class Coarse(PosixFileSystem):
        def write(self, fd: int, data: bytes | memoryview) -> int:
            written = super().write(fd, data)
            os.utime(fd, ns=(10**18, 10**18))
            return written

    store = open_store(tmp_path, Coarse())
    stamps = [(await store.documents.write("harbor/a.md", b"%d" % n)).stamp for n in range(9)]
    assert len(set(stamps)) == 9
    info = await store.documents.info("harbor/a.md")
    assert info is not None and info.stamp == stamps[-1]
    store.close()


async def test_a_mtime_that_somebody_set_ahead_is_not_followed(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await store.documents.write("harbor/a.md", b"x")
    os.utime(tmp_path / "harbor/a.md", ns=(10**19 // 4, 10**19 // 4))
    written = await store.documents.write("harbor/a.md", b"y")
    assert written.stamp[0] < 10**19 // 4
    store.close()


@pytest.mark.parametrize("text", ["", "[]", '"x"', "{}", '{"holder":1}', '{"expires_at":5}', "\xff", "[" * 9999])
async def test_a_broken_lease_is_named_and_left_alone(tmp_path: Path, text: str) -> None:
    store = open_store(tmp_path)
    lease = await store.leases.acquire("job", "me", 30)
    path = tmp_path / "_fleet/leases/job.json"
    path.write_bytes(text.encode("latin-1"))
    calls: list[Callable[[], object]] = [
        lambda: store.leases.acquire("job", "you", 30),
        lambda: store.leases.renew(lease, 30),
        lambda: store.leases.release(lease),
        lambda: store.leases.current("job"),
    ]
    for call in calls:
        with pytest.raises(ArgosyError, match=r"_fleet/leases/job.json is not a lease"):
            await call()  # type: ignore[misc]
    assert path.read_bytes() == text.encode("latin-1")
    await store.leases.acquire("other", "you", 30)
    store.close()


async def test_the_first_lease_of_many_processes_is_one(tmp_path: Path) -> None:
    stores = [open_store(tmp_path) for _ in range(4)]
    results = await asyncio.gather(
        *(store.leases.acquire("job", f"h{n}", 60) for n, store in enumerate(stores)), return_exceptions=True
    )
    assert sum(isinstance(result, Conflict) for result in results) == 3
    for store in stores:
        store.close()
