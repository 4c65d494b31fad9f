"""Named locks between threads and processes on one machine: a thread lock in front of one `flock`.

`flock` alone would do, but waiters poll it; the thread lock lets the waiters of one process queue without polling. The
files of the locks held last stay open between, which spares every holder half of its calls.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from argosy_core.canonical import sha256_hex
from argosy_core.clock import Clock
from argosy_core.errors import Unavailable
from argosy_core.fs import FileSystem
from argosy_core.os_errors import os_errors

POLL_SECONDS = 0.0005  # first pause between two tries
MAX_POLL_SECONDS = 0.02
DEFAULT_WAIT_SECONDS = 10.0
MAX_STEM_BYTES = 200
MAX_KEPT_OPEN = 8


class _Opened(NamedTuple):
    """A lock's file as it was opened."""

    fd: int
    identity: tuple[int, int]


class LockFolder:
    """Locks kept as files of one folder. The folder may be deleted at any time, even while locks are held."""

    def __init__(self, folder: str, fs: FileSystem, clock: Clock) -> None:
        self._folder = folder
        self._fs = fs
        self._clock = clock
        self._threads: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()
        self._kept: dict[str, _Opened] = {}  # of free locks, the one held last at the end
        _folders.add(self)

    def close(self) -> None:
        """Close what is kept open. The folder stays usable."""
        with self._guard:
            kept, self._kept = self._kept, {}
        for opened in kept.values():
            self._fs.close(opened.fd)

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
                opened = self._acquire_file(name, deadline)
            try:
                yield
            finally:
                self._release_file(name, opened)
        finally:
            local.release()

    def _acquire_file(self, name: str, deadline: float) -> _Opened:
        pause = POLL_SECONDS
        while True:
            opened = self._take(name)
            try:
                if self._fs.try_lock(opened.fd) and self._is_current(opened, name):
                    return opened
            except BaseException:
                self._fs.close(opened.fd)
                raise
            self._fs.close(opened.fd)
            if self._clock.monotonic() >= deadline:
                raise _busy(name)
            self._clock.pause(pause)
            pause = min(pause * 1.5, MAX_POLL_SECONDS)

    def _take(self, name: str) -> _Opened:
        with self._guard:
            opened = self._kept.pop(name, None)
        if opened is not None:
            return opened
        fd = self._open(name)
        try:
            found = self._fs.fstat(fd)
        except BaseException:
            self._fs.close(fd)
            raise
        return _Opened(fd, (found.st_ino, found.st_dev))

    def _release_file(self, name: str, opened: _Opened) -> None:
        try:
            self._fs.unlock(opened.fd)
        except OSError:
            self._fs.close(opened.fd)
            return
        with self._guard:
            self._kept[name] = opened
            oldest = next(iter(self._kept)) if len(self._kept) > MAX_KEPT_OPEN else None
            surplus = self._kept.pop(oldest) if oldest is not None else None
        if surplus is not None:
            self._fs.close(surplus.fd)

    def forget(self) -> None:
        """In a forked child: what its parent has open is one lock for both."""
        self._guard, self._threads = threading.Lock(), {}
        self.close()

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

    def _is_current(self, opened: _Opened, name: str) -> bool:
        # Somebody may have deleted the folder since we opened the file: then another process locks another file.
        try:
            now = self._fs.stat(self._path(name))
        except FileNotFoundError:
            return False
        return opened.identity == (now.st_ino, now.st_dev)

    def _path(self, name: str) -> str:
        stem = name.replace("%", "%25").replace("/", "%2f")
        if len(stem.encode()) > MAX_STEM_BYTES:
            stem = f"%{sha256_hex(name.encode())}"
        return f"{self._folder}/{stem}.lock"


_folders: weakref.WeakSet[LockFolder] = weakref.WeakSet()


def _forget_all() -> None:
    for folder in list(_folders):
        folder.forget()


os.register_at_fork(after_in_child=_forget_all)


def _busy(name: str) -> Unavailable:
    return Unavailable(f"{name} is in use by another writer", hint="try again in a moment", lock=name)
