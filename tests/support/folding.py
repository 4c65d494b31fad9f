"""A disk that takes a name in other letters for the same and keeps those it was made with, as macOS's does."""

from __future__ import annotations

import os

from argosy_core.fs import PosixFileSystem


class FoldingFileSystem(PosixFileSystem):
    """The real file system behind such names."""

    def _there(self, name: str, dir_fd: int | None) -> str:
        """What *name* is called in its folder; *name* itself when nothing is."""
        if dir_fd is None or name in (".", ".."):
            return name
        return next((each for each in os.listdir(dir_fd) if each.casefold() == name.casefold()), name)

    def open(self, name: str, flags: int, *, dir_fd: int | None = None, mode: int = 0o600) -> int:
        return super().open(self._there(name, dir_fd), flags, dir_fd=dir_fd, mode=mode)

    def stat(self, name: str, *, dir_fd: int | None = None) -> os.stat_result:
        return super().stat(self._there(name, dir_fd), dir_fd=dir_fd)

    def rename(self, source: str, target: str, *, dir_fd: int) -> None:
        super().rename(source, self._there(target, dir_fd), dir_fd=dir_fd)

    def unlink(self, name: str, *, dir_fd: int) -> None:
        super().unlink(self._there(name, dir_fd), dir_fd=dir_fd)

    def mkdir(self, name: str, *, dir_fd: int | None = None) -> None:
        super().mkdir(self._there(name, dir_fd), dir_fd=dir_fd)
