"""A file system whose calls can be made to fail, one after the other."""

from __future__ import annotations

import os
from collections.abc import Collection

from argosy_core.fs import FileSystem

CHANGING = frozenset({"open", "write", "fsync", "truncate", "chmod", "set_mtime", "rename", "unlink", "mkdir"})
ALL_CALLS = CHANGING | {"read", "pread", "fstat", "stat", "names", "try_lock", "unlock"}


class FaultyFileSystem:
    """Passes every call on to *inner*, until the nth one after `arm` fails.

    A call fails before it does anything. `close` never does, as on Linux the descriptor is gone then too.
    """

    def __init__(self, inner: FileSystem) -> None:
        self.inner = inner
        self.most_bytes: int | None = None
        """How many bytes one write takes; None for all."""
        self.was_hit = False
        self._left: int | None = None
        self._error = 0
        self._for_good = False
        self._calls: Collection[str] = CHANGING

    def arm(self, nth: int, error: int, *, for_good: bool = False, calls: Collection[str] = CHANGING) -> None:
        """Let the *nth* of *calls* from now on fail with *error*, an errno; with *for_good* all after it too."""
        self._left, self._error, self._for_good, self._calls = nth, error, for_good, calls
        self.was_hit = False

    def disarm(self) -> bool:
        """Fail no more; whether any call did."""
        self._left = None
        return self.was_hit

    def _step(self, call: str) -> None:
        if self._left is None or call not in self._calls:
            return
        self._left -= 1
        if self._left == 0 or (self._for_good and self._left < 0):
            self.was_hit = True
            raise OSError(self._error, os.strerror(self._error))

    def open(self, name: str, flags: int, *, dir_fd: int | None = None, mode: int = 0o600) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):  # a disk that is full or read-only is still read
            self._step("open")
        return self.inner.open(name, flags, dir_fd=dir_fd, mode=mode)

    def close(self, fd: int) -> None:
        self.inner.close(fd)

    def read(self, fd: int, size: int) -> bytes:
        self._step("read")
        return self.inner.read(fd, size)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        self._step("pread")
        return self.inner.pread(fd, size, offset)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self._step("write")
        return self.inner.write(fd, data[: self.most_bytes])

    def fsync(self, fd: int) -> None:
        self._step("fsync")
        self.inner.fsync(fd)

    def fstat(self, fd: int) -> os.stat_result:
        self._step("fstat")
        return self.inner.fstat(fd)

    def stat(self, name: str, *, dir_fd: int | None = None) -> os.stat_result:
        self._step("stat")
        return self.inner.stat(name, dir_fd=dir_fd)

    def truncate(self, fd: int, size: int) -> None:
        self._step("truncate")
        self.inner.truncate(fd, size)

    def chmod(self, fd: int, mode: int) -> None:
        self._step("chmod")
        self.inner.chmod(fd, mode)

    def set_mtime(self, fd: int, nanoseconds: int) -> None:
        self._step("set_mtime")
        self.inner.set_mtime(fd, nanoseconds)

    def rename(self, source: str, target: str, *, dir_fd: int) -> None:
        self._step("rename")
        self.inner.rename(source, target, dir_fd=dir_fd)

    def unlink(self, name: str, *, dir_fd: int) -> None:
        self._step("unlink")
        self.inner.unlink(name, dir_fd=dir_fd)

    def mkdir(self, name: str, *, dir_fd: int | None = None) -> None:
        self._step("mkdir")
        self.inner.mkdir(name, dir_fd=dir_fd)

    def names(self, fd: int) -> list[str]:
        self._step("names")
        return self.inner.names(fd)

    def try_lock(self, fd: int) -> bool:
        self._step("try_lock")
        return self.inner.try_lock(fd)

    def unlock(self, fd: int) -> None:
        self._step("unlock")
        self.inner.unlock(fd)


__all__ = ["ALL_CALLS", "CHANGING", "FaultyFileSystem"]
