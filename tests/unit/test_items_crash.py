"""Whatever step of a change fails, and whatever step a process dies at, an item is there, once, and goes on."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from argosy_core.errors import ArgosyError
from argosy_core.fs import PosixFileSystem
from argosy_core.ids import SystemIds
from argosy_core.storage.base import Item, NewItem
from argosy_core.storage.files.item_folders import QueueFolders
from argosy_core.storage.files.items import FileItems
from argosy_core.testing.fakes import FakeClock
from argosy_core.vault import Vault

pytestmark = pytest.mark.anyio
CALLS = ("open", "write", "fsync", "rename", "unlink", "set_mtime", "mkdir")
MOST_CALLS = 60


class Died(BaseException):
    """A process that ends in the middle: no handler runs that an exception would meet."""


class FailingFileSystem(PosixFileSystem):
    """Fails its *nth* changing call from when it is armed; *dead* ones fail every call after that too."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.dead = False
        self.hit = False

    def arm(self, nth: int, dead: bool) -> None:
        self.left, self.dead, self.hit = nth, dead, False

    def step(self) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left == 0 or (self.dead and self.left < 0):
            self.hit = True
            raise Died if self.dead else OSError(errno.EIO, "Input/output error")


def _guarded(name: str) -> Callable[..., Any]:
    plain = getattr(PosixFileSystem, name)

    def call(self: FailingFileSystem, *arguments: Any, **more: Any) -> Any:
        if name != "open" or arguments[1] & 0o103:  # only what writes or makes a file
            self.step()
        return plain(self, *arguments, **more)

    return call


for _name in CALLS:
    setattr(FailingFileSystem, _name, _guarded(_name))


def opened(root: Path, fs: PosixFileSystem | None = None) -> tuple[Vault, FileItems]:
    vault = Vault(root, fs=fs)
    return vault, FileItems(vault, FakeClock(), SystemIds())


async def change(items: FileItems, what: str, item: Item | None) -> None:
    lease = item.lease if item is not None else None
    if what == "enqueue":
        await items.enqueue(NewItem("q", {"n": 1}, key="k"))
    elif what == "claim":
        await items.claim("q", "w", 30)
    else:
        assert item is not None and lease is not None
        await items.complete(item.id, lease.token, {"ok": 1})


@pytest.mark.parametrize("dead", [False, True], ids=["an error", "a death"])
@pytest.mark.parametrize("what", ["enqueue", "claim", "complete"])
async def test_no_step_loses_or_doubles_an_item(what: str, dead: bool, tmp_path: Path) -> None:
    for nth in range(1, MOST_CALLS):
        root = tmp_path / str(nth)
        root.mkdir()
        fs = FailingFileSystem()
        vault, items = opened(root, fs)
        leased: Item | None = None
        if what != "enqueue":
            await items.enqueue(NewItem("q", {"n": 1}, key="k"))
        if what == "complete":
            [leased] = await items.claim("q", "w", 30)
        fs.arm(nth, dead)
        acknowledged = False
        try:
            await change(items, what, leased)
            acknowledged = True
        except (Died, ArgosyError, OSError):
            pass
        hit, fs.left = fs.hit, None
        items.close()
        vault.close()
        await check_after(root, what, leased, acknowledged)
        if not hit:
            assert nth > 5
            return
    raise AssertionError("the change never came to its end")


async def check_after(root: Path, what: str, leased: Item | None, acknowledged: bool) -> None:
    vault, items = opened(root)
    counts = dict(await items.counts())
    assert sum(counts.values()) <= 1
    before, after = {"enqueue": (None, "ready"), "claim": ("ready", "leased"), "complete": ("leased", "done")}[what]
    assert set(counts) == {after} if acknowledged else set(counts) <= {before, after}
    assert counts or before is None
    item, duplicate = await items.enqueue(NewItem("q", {"n": 1}, key="k"))
    assert duplicate == bool(counts)
    if item.state == "ready":
        [item] = await items.claim("q", "w2", 30)
    if item.state == "leased":
        assert item.lease is not None
        item = await items.complete(item.id, item.lease.token, {"ok": 1})
    assert item.state == "done"
    left = [path for path in (root / "_fleet/queue").rglob("*") if path.is_file()]
    assert [path.parent.name for path in left] == ["done"], "one file, and no draft"
    items.close()
    vault.close()


class CoarseFileSystem(PosixFileSystem):
    """Stamps folders as a kernel does whose clock ticks once in a while: all of a test is one tick."""

    def rename(self, source: str, target: str, *, dir_fd: int) -> None:
        super().rename(source, target, dir_fd=dir_fd)
        os.utime(dir_fd, ns=(10**18, 10**18))


def test_every_change_leaves_a_mark_of_its_own_on_its_folder(tmp_path: Path) -> None:
    """A crash within the clock's tick of the change before it must show too."""
    vault = Vault(tmp_path, fs=CoarseFileSystem())
    folders = QueueFolders(vault, SystemIds(), "q")
    seals = [folders.put("ready", {"a": b"{}"})[1] for _ in range(20)]
    assert len(set(seals)) == 20
    assert folders.seals() == {"ready": seals[-1]}
    os.utime(tmp_path / "_fleet/queue/q/ready", ns=(10**18, 10**18))
    assert folders.seals() != {"ready": seals[-1]}
    vault.close()
