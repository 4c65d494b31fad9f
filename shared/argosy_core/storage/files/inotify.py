"""inotify(7): the kernel tells what happens in folders, and who waits for it sleeps meanwhile. Linux only.

The C library's three calls as they are: the packages for it start a program to find that library, or make several
objects of each event.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

# linux/inotify.h
MODIFY, ATTRIB, CLOSE_WRITE = 0x2, 0x4, 0x8
MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x40, 0x80, 0x100, 0x200
OVERFLOW, IGNORED = 0x4000, 0x8000
ONLY_FOLDERS, NO_LINKS, IS_FOLDER = 0x1000000, 0x2000000, 0x40000000
_MASK = MODIFY | ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | ONLY_FOLDERS | NO_LINKS
_HEAD = struct.Struct("iIII")
_READ_BYTES = 1 << 20
LIMITS = {errno.ENOSPC: "OS file watch limit reached", errno.EMFILE: "OS limit of file watchers reached"}


class Event(NamedTuple):
    """*name* in the folder that *watch* stands for, empty for that folder itself; *mask* says what happened to it."""

    watch: int
    mask: int
    name: str


class Inotify:
    """One queue of events. Raises OSError when there is none to be had."""

    def __init__(self) -> None:
        self._calls = ctypes.CDLL(None, use_errno=True)
        self.fd = _checked(self._calls.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))

    def add(self, folder: str) -> int:
        """Tell of *folder* too; the number by which its events name it. Raises OSError: NotADirectoryError for a link
        too, and ENOSPC when there are no watches left."""
        return _checked(self._calls.inotify_add_watch(self.fd, os.fsencode(folder), ctypes.c_uint32(_MASK)), folder)

    def remove(self, watch: int) -> None:
        """Tell of it no more. One that went away by itself is none."""
        self._calls.inotify_rm_watch(self.fd, watch)

    def read(self) -> list[Event]:
        """What waits, in order; [] when nothing does."""
        try:
            return list(_events(os.read(self.fd, _READ_BYTES)))
        except BlockingIOError:
            return []

    def close(self) -> None:
        os.close(self.fd)


def _events(data: bytes) -> Iterator[Event]:
    place = 0
    while place < len(data):
        watch, mask, _, length = _HEAD.unpack_from(data, place)
        place += _HEAD.size
        yield Event(watch, mask, os.fsdecode(data[place : place + length].rstrip(b"\0")))
        place += length


def _checked(result: int, path: str | None = None) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, LIMITS.get(number) or os.strerror(number), path)
    return result
