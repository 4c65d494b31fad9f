"""The way from a vault's root to a file: component by component from open folders, so no link on it is followed."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress

from argosy_core.fs import FileSystem

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
MAX_SETTLED = 10_000


class FolderWalk:
    """Walks from the folder open as *root_fd*. All errors are those of the operating system."""

    def __init__(self, fs: FileSystem, root_fd: int) -> None:
        self._fs = fs
        self._root_fd = root_fd
        # Folders and files whose names are known to be durable, by device and inode.
        self._settled: set[tuple[int, int]] = set()

    @contextmanager
    def folder(self, parts: tuple[str, ...], create: bool = False) -> Generator[int]:
        """A descriptor of the folder that *parts* lead to; with *create* it is made, and the way to it is durable."""
        fd = self._fs.open(".", DIRECTORY, dir_fd=self._root_fd)
        try:
            for part in parts:
                child = self._step(fd, part, create)
                self._fs.close(fd)
                fd = child
            yield fd
        finally:
            self._fs.close(fd)

    @contextmanager
    def opened(self, folder: int, name: str, flags: int) -> Generator[int]:
        """A descriptor of *name* in *folder*."""
        fd = self._fs.open(name, flags, dir_fd=folder)
        try:
            yield fd
        finally:
            self._fs.close(fd)

    def _step(self, folder: int, part: str, create: bool) -> int:
        if not create:
            return self._fs.open(part, DIRECTORY, dir_fd=folder)
        try:
            child = self._fs.open(part, DIRECTORY, dir_fd=folder)
        except FileNotFoundError:
            with suppress(FileExistsError):  # another writer made it
                self._fs.mkdir(part, dir_fd=folder)
            child = self._fs.open(part, DIRECTORY, dir_fd=folder)
        try:
            self.settle(folder, child)
        except BaseException:
            self._fs.close(child)
            raise
        return child

    def settle(self, folder: int, fd: int) -> None:
        """Make the name of what is open as *fd* durable in *folder*, once: who made it may have died before that."""
        found = self._fs.fstat(fd)
        identity = (found.st_dev, found.st_ino)
        if identity in self._settled:
            return
        self._fs.fsync(folder)
        if len(self._settled) >= MAX_SETTLED:
            self._settled.clear()
        self._settled.add(identity)
