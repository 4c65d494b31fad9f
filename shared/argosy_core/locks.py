"""Named locks between threads and processes on one machine: a thread lock in front of one `flock`.

`flock` alone would do, but waiters poll it; the thread lock lets the waiters of one process queue without polling.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress

from argosy_core.canonical import sha256_hex
from argosy_core.clock import Clock
from argosy_core.errors import Unavailable
from argosy_core.fs import FileSystem
from argosy_core.os_errors import os_errors

POLL_SECONDS = 0.0005  # first pause between two tries
MAX_POLL_SECONDS = 0.02
DEFAULT_WAIT_SECONDS = 10.0
MAX_STEM_BYTES = 200


class LockFolder:
    """Locks kept as files of one folder. The folder may be deleted at any time, even while locks are held."""

    def __init__(self, folder: str, fs: FileSystem, clock: Clock) -> None:
        self._folder = folder
        self._fs = fs
        self._clock = clock
        self._threads: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    @contextmanager
    def hold(self, name: str, wait_seconds: float = DEFAULT_WAIT_SECONDS) -> Generator[None]:
        """Hold the lock *name* while the block runs.

        Raises Unavailable when it is not free within *wait_seconds*, PermissionDenied when the folder cannot be used.
        """
        deadline = self._clock.monotonic() + wait_seconds
        with self._guard:
            local = self._threads.setdefault(name, threading.Lock())
        if not local.acquire(timeout=wait_seconds):
            raise _busy(name)
        try:
            with os_errors(f"the lock of {name}"):
                fd = self._acquire_file(name, deadline)
            try:
                yield
            finally:
                self._fs.close(fd)
        finally:
            local.release()

    def _acquire_file(self, name: str, deadline: float) -> int:
        pause = POLL_SECONDS
        while True:
            fd = self._open(name)
            try:
                locked = self._fs.try_lock(fd) and self._is_current(fd, name)
            except BaseException:
                self._fs.close(fd)
                raise
            if locked:
                return fd
            self._fs.close(fd)
            if self._clock.monotonic() >= deadline:
                raise _busy(name)
            self._clock.pause(pause)
            pause = min(pause * 1.5, MAX_POLL_SECONDS)

    def _open(self, name: str) -> int:
        path = self._path(name)
        try:
            return self._fs.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
        except FileNotFoundError:
            self._make_folder()
            return self._fs.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)

    def _make_folder(self) -> None:
        # One by one: makedirs would give its mode to the last folder alone.
        for folder in (os.path.dirname(self._folder), self._folder):
            with suppress(FileExistsError):
                self._fs.mkdir(folder)

    def _is_current(self, fd: int, name: str) -> bool:
        # Somebody may have deleted the folder since we opened the file: then another process locks another file.
        try:
            now = self._fs.stat(self._path(name))
        except FileNotFoundError:
            return False
        held = self._fs.fstat(fd)
        return (held.st_ino, held.st_dev) == (now.st_ino, now.st_dev)

    def _path(self, name: str) -> str:
        stem = name.replace("%", "%25").replace("/", "%2f")
        if len(stem.encode()) > MAX_STEM_BYTES:
            stem = f"%{sha256_hex(name.encode())}"
        return f"{self._folder}/{stem}.lock"


def _busy(name: str) -> Unavailable:
    return Unavailable(f"{name} is in use by another writer", hint="try again in a moment", lock=name)
