"""The file system as a parameter: the few calls the vault makes, so that a test can lose power between any two."""

from __future__ import annotations

import fcntl
import os
from typing import Protocol


class FileSystem(Protocol):
    """Calls with the semantics of their POSIX namesakes; names are relative to an open directory, or absolute."""

    def open(self, name: str, flags: int, *, dir_fd: int | None = None, mode: int = 0o600) -> int: ...
    def close(self, fd: int) -> None: ...
    def read(self, fd: int, size: int) -> bytes: ...
    def pread(self, fd: int, size: int, offset: int) -> bytes: ...
    def write(self, fd: int, data: bytes | memoryview) -> int: ...
    def fsync(self, fd: int) -> None: ...
    def fstat(self, fd: int) -> os.stat_result: ...
    def stat(self, name: str, *, dir_fd: int | None = None) -> os.stat_result: ...
    def truncate(self, fd: int, size: int) -> None: ...
    def chmod(self, fd: int, mode: int) -> None: ...
    def set_mtime(self, fd: int, nanoseconds: int) -> None: ...
    def rename(self, source: str, target: str, *, dir_fd: int) -> None: ...
    def unlink(self, name: str, *, dir_fd: int) -> None: ...
    def mkdir(self, name: str, *, dir_fd: int | None = None) -> None: ...
    def names(self, fd: int) -> list[str]: ...
    def try_lock(self, fd: int) -> bool: ...
    def unlock(self, fd: int) -> None: ...


class PosixFileSystem:
    """The real one."""

    def open(self, name: str, flags: int, *, dir_fd: int | None = None, mode: int = 0o600) -> int:
        return os.open(name, flags | os.O_CLOEXEC, mode, dir_fd=dir_fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def read(self, fd: int, size: int) -> bytes:
        return os.read(fd, size)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        return os.pread(fd, size, offset)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        return os.write(fd, data)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def fstat(self, fd: int) -> os.stat_result:
        return os.fstat(fd)

    def stat(self, name: str, *, dir_fd: int | None = None) -> os.stat_result:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def chmod(self, fd: int, mode: int) -> None:
        os.fchmod(fd, mode)

    def set_mtime(self, fd: int, nanoseconds: int) -> None:
        os.utime(fd, ns=(nanoseconds, nanoseconds))

    def rename(self, source: str, target: str, *, dir_fd: int) -> None:
        os.rename(source, target, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)

    def unlink(self, name: str, *, dir_fd: int) -> None:
        os.unlink(name, dir_fd=dir_fd)

    def mkdir(self, name: str, *, dir_fd: int | None = None) -> None:
        os.mkdir(name, 0o700, dir_fd=dir_fd)

    def names(self, fd: int) -> list[str]:
        return os.listdir(fd)

    def try_lock(self, fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(self, fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)
