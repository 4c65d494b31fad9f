"""The way from a vault's root to a file: component by component from open folders, so no link on it is followed.

The folders walked to last stay open. Before one is used again, its name in the folder above is looked at: it must
still be that very folder and no link.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from argosy_core.fs import FileSystem

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
MAX_SETTLED = 10_000
MAX_KEPT = 16
_Parts = tuple[str, ...]


@dataclass(slots=True, eq=False)
class _Kept:
    """A folder that is open, how many use it now, and whether its name is known to be durable."""

    fd: int
    identity: tuple[int, int]
    users: int = 1
    is_settled: bool = False
    is_dropped: bool = False


class FolderWalk:
    """Walks from the folder open as *root_fd*. All errors are those of the operating system."""

    def __init__(self, fs: FileSystem, root_fd: int) -> None:
        self._fs = fs
        self._root_fd = root_fd
        # Folders and files whose names are known to be durable, by device and inode.
        self._settled: set[tuple[int, int]] = set()
        self._kept: dict[_Parts, _Kept] = {}  # the one used last at the end
        self._guard = threading.Lock()

    def close(self) -> None:
        """Close what is kept open. Idempotent."""
        with self._guard:
            for parts in list(self._kept):
                self._drop(parts)

    @contextmanager
    def folder(self, parts: _Parts, create: bool = False) -> Generator[int]:
        """A descriptor of the folder that *parts* lead to; with *create* it is made, and the way to it is durable.

        Others use it at the same time: not for reading its names, since a descriptor has one place in them.
        """
        held: list[_Kept] = []
        fd = self._root_fd
        try:
            for depth in range(1, len(parts) + 1):
                kept = self._take(fd, parts[:depth], create)
                held.append(kept)
                fd = kept.fd
            yield fd
        finally:
            self._give_back(held)

    @contextmanager
    def own_folder(self, parts: _Parts, create: bool = False) -> Generator[int]:
        """The same, as a descriptor that nobody else uses."""
        with self.folder(parts, create) as folder, self.opened(folder, ".", DIRECTORY) as fd:
            yield fd

    @contextmanager
    def opened(self, folder: int, name: str, flags: int) -> Generator[int]:
        """A descriptor of *name* in *folder*."""
        fd = self._fs.open(name, flags, dir_fd=folder)
        try:
            yield fd
        finally:
            self._fs.close(fd)

    def settle(self, folder: int, fd: int) -> None:
        """Make the name of what is open as *fd* durable in *folder*, once: who made it may have died before that."""
        found = self._fs.fstat(fd)
        self._settle(folder, (found.st_dev, found.st_ino))

    def _settle(self, folder: int, identity: tuple[int, int]) -> None:
        if identity in self._settled:
            return
        self._fs.fsync(folder)
        if len(self._settled) >= MAX_SETTLED:
            self._settled.clear()
        self._settled.add(identity)

    # Folders kept open

    def _take(self, above: int, parts: _Parts, create: bool) -> _Kept:
        """The folder *parts*, whose last name is in the folder open as *above*; to be given back."""
        kept = self._known(above, parts) or self._opened(above, parts, create)
        if create and not kept.is_settled:
            try:
                self._settle(above, kept.identity)
            except BaseException:
                self._give_back([kept])
                raise
            kept.is_settled = True
        return kept

    def _known(self, above: int, parts: _Parts) -> _Kept | None:
        with self._guard:
            kept = self._kept.pop(parts, None)
            if kept is None:
                return None
            self._kept[parts] = kept
            kept.users += 1
        try:
            found = self._fs.stat(parts[-1], dir_fd=above)
            if stat.S_ISDIR(found.st_mode) and (found.st_dev, found.st_ino) == kept.identity:
                return kept
        except FileNotFoundError:
            pass
        except BaseException:
            self._give_back([kept])
            raise
        with self._guard:
            self._settled.discard(kept.identity)  # a folder made later may get its number
            if self._kept.get(parts) is kept:
                self._drop(parts)
        self._give_back([kept])
        return None

    def _opened(self, above: int, parts: _Parts, create: bool) -> _Kept:
        fd, is_new = self._open(above, parts[-1], create)
        try:
            found = self._fs.fstat(fd)
        except BaseException:
            self._fs.close(fd)
            raise
        kept = _Kept(fd, (found.st_dev, found.st_ino))
        if is_new:
            self._settled.discard(kept.identity)  # it may have the number of one that was removed
        with self._guard:
            if parts in self._kept:  # another thread was as fast: its own is as good
                self._drop(parts)
            self._kept[parts] = kept
            if len(self._kept) > MAX_KEPT:
                self._drop(next(iter(self._kept)))
        return kept

    def _open(self, above: int, name: str, create: bool) -> tuple[int, bool]:
        """The folder's descriptor, and whether the folder was not there before."""
        try:
            return self._fs.open(name, DIRECTORY, dir_fd=above), False
        except FileNotFoundError:
            if not create:
                raise
        with suppress(FileExistsError):  # another writer made it
            self._fs.mkdir(name, dir_fd=above)
        return self._fs.open(name, DIRECTORY, dir_fd=above), True

    def _drop(self, parts: _Parts) -> None:
        """Keep it no longer; who uses it last closes it. The guard is held."""
        kept = self._kept.pop(parts)
        kept.is_dropped = True
        if not kept.users:
            self._fs.close(kept.fd)

    def _give_back(self, held: list[_Kept]) -> None:
        with self._guard:
            for kept in held:
                kept.users -= 1
                if kept.is_dropped and not kept.users:
                    self._fs.close(kept.fd)
