"""`FileSystem` over nodes in memory, for one thread."""

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass

from argosy_core.testing.power.images import FILE_MODE, FileImage, FolderImage
from argosy_core.testing.power.nodes import FileNode, FolderNode, Node, node_of

START_NS = 1_760_000_000_000_000_000
TICK_NS = 1_000_000  # passes with every change
_DEVICE = 7


@dataclass(slots=True)
class _Open:
    node: Node
    is_appending: bool
    offset: int = 0


class PowerFileSystem:
    """The folder *root* holds what *disk* held. Names below *root* may also be absolute.

    *guard* is called before every step that changes something, with its name, and may raise; *watch* after it.
    """

    def __init__(self, root: str, disk: FolderImage | None = None, now_ns: int = START_NS) -> None:
        self.root_path = root.rstrip("/")
        self.root = FolderNode(disk or FolderImage())
        self.guard: Callable[[str], None] = lambda _: None
        self.watch: Callable[[], None] = lambda: None
        self.now_ns = now_ns
        self.tick_ns = TICK_NS
        self._open: dict[int, _Open] = {}
        self._fds = itertools.count(1000)
        self._locked: dict[int, int] = {}
        self._sync_failures = 0

    @property
    def open_count(self) -> int:
        """How many descriptors are open."""
        return len(self._open)

    def seen(self) -> FolderImage:
        """All that is there now, as a process sees it."""
        return _image(self.root)

    def break_syncs(self, count: int = 1) -> None:
        """Let the next *count* fsyncs of files fail: their pages are lost, and count as clean from then on."""
        self._sync_failures = count

    def kill(self) -> None:
        """End the process: its locks are free, and what it wrote stays in the cache."""
        self._locked.clear()

    def reopened(self, disk: FolderImage) -> PowerFileSystem:
        """The machine after a power cut that left *disk*."""
        return PowerFileSystem(self.root_path, disk, self.now_ns + 3_600_000_000_000)

    # Names

    def _walk(self, name: str, dir_fd: int | None) -> tuple[FolderNode, str]:
        """The folder of the last part of *name*, and that part; "" for the folder itself."""
        if dir_fd is None:
            if name != self.root_path and not name.startswith(f"{self.root_path}/"):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            folder, name = self.root, name[len(self.root_path) :]
        else:
            folder = self._folder(dir_fd)
        *parts, last = [part for part in name.split("/") if part not in ("", ".")] or [""]
        for part in parts:
            folder = _as_folder(_child(folder, part))
        return folder, last

    def _find(self, name: str, dir_fd: int | None) -> Node:
        folder, last = self._walk(name, dir_fd)
        return _child(folder, last) if last else folder

    def _folder(self, fd: int) -> FolderNode:
        return _as_folder(self._opened(fd).node)

    def _file(self, fd: int) -> FileNode:
        node = self._opened(fd).node
        if not isinstance(node, FileNode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        return node

    def _opened(self, fd: int) -> _Open:
        if fd not in self._open:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._open[fd]

    def _tick(self) -> int:
        self.now_ns += self.tick_ns
        return self.now_ns

    # The protocol

    def open(self, name: str, flags: int, *, dir_fd: int | None = None, mode: int = FILE_MODE) -> int:
        if flags & os.O_CREAT:
            self.guard("create")
        folder, last = self._walk(name, dir_fd)
        node: Node | None = folder.seen.get(last) if last else folder
        if node is not None and flags & os.O_CREAT and flags & os.O_EXCL:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        if node is None and not flags & os.O_CREAT:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        if flags & os.O_DIRECTORY and not isinstance(node, FolderNode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
        is_new = node is None
        if node is None:
            now = self._tick()
            node = FileNode(FileImage(b"", now, mode))
            folder.change(now, (last, node))
        fd = next(self._fds)
        self._open[fd] = _Open(node, bool(flags & os.O_APPEND))
        if flags & os.O_TRUNC:
            self.truncate(fd, 0)
        if is_new:
            self.watch()
        return fd

    def close(self, fd: int) -> None:
        self._opened(fd)
        del self._open[fd]
        self._locked = {number: holder for number, holder in self._locked.items() if holder != fd}

    def read(self, fd: int, size: int) -> bytes:
        opened = self._opened(fd)
        data = self.pread(fd, size, opened.offset)
        opened.offset += len(data)
        return data

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        return bytes(self._file(fd).seen[offset : offset + size])

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self.guard("write")
        opened, file = self._opened(fd), self._file(fd)
        offset = len(file.seen) if opened.is_appending else opened.offset
        file.write(offset, bytes(data))
        file.mtime_ns = self._tick()
        opened.offset = offset + len(data)
        self.watch()
        return len(data)

    def fsync(self, fd: int) -> None:
        self.guard("fsync")
        node = self._opened(fd).node
        if self._sync_failures and isinstance(node, FileNode):
            self._sync_failures -= 1
            node.forget()
            self.watch()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        node.sync()
        self.watch()

    def fstat(self, fd: int) -> os.stat_result:
        return _status(self._opened(fd).node)

    def stat(self, name: str, *, dir_fd: int | None = None) -> os.stat_result:
        return _status(self._find(name, dir_fd))

    def truncate(self, fd: int, size: int) -> None:
        self.guard("truncate")
        file = self._file(fd)
        file.truncate(size)
        file.mtime_ns = self._tick()
        self.watch()

    def chmod(self, fd: int, mode: int) -> None:
        self._opened(fd).node.mode = mode

    def set_mtime(self, fd: int, nanoseconds: int) -> None:
        self.guard("set_mtime")
        node = self._opened(fd).node
        if isinstance(node, FolderNode):
            node.change(nanoseconds)
        node.mtime_ns = nanoseconds
        self.watch()

    def rename(self, source: str, target: str, *, dir_fd: int) -> None:
        self.guard("rename")
        folder = self._folder(dir_fd)
        folder.change(self._tick(), (source, None), (target, _child(folder, source)))
        self.watch()

    def unlink(self, name: str, *, dir_fd: int) -> None:
        self.guard("unlink")
        folder, last = self._walk(name, dir_fd)
        if isinstance(_child(folder, last), FolderNode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        folder.change(self._tick(), (last, None))
        self.watch()

    def mkdir(self, name: str, *, dir_fd: int | None = None) -> None:
        self.guard("mkdir")
        folder, last = self._walk(name, dir_fd)
        if last in folder.seen:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        now = self._tick()
        folder.change(now, (last, node_of(FolderImage((), now))))
        self.watch()

    def names(self, fd: int) -> list[str]:
        return list(self._folder(fd).seen)

    def try_lock(self, fd: int) -> bool:
        return self._locked.setdefault(self._opened(fd).node.number, fd) == fd

    def unlock(self, fd: int) -> None:
        number = self._opened(fd).node.number
        if self._locked.get(number) == fd:
            del self._locked[number]


def _child(folder: FolderNode, name: str) -> Node:
    node = folder.seen.get(name)
    if node is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    return node


def _as_folder(node: Node) -> FolderNode:
    if not isinstance(node, FolderNode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    return node


def _status(node: Node) -> os.stat_result:
    is_folder = isinstance(node, FolderNode)
    kind, size = (stat.S_IFDIR, 4096) if is_folder else (stat.S_IFREG, len(node.seen))
    seconds = node.mtime_ns // 1_000_000_000
    fields = (kind | node.mode, node.number, _DEVICE, 1, os.getuid(), os.getgid(), size, seconds, seconds, seconds)
    return os.stat_result(fields, {"st_mtime_ns": node.mtime_ns})


def _image(folder: FolderNode) -> FolderImage:
    entries = [
        (name, _image(node) if isinstance(node, FolderNode) else FileImage(bytes(node.seen), node.mtime_ns, node.mode))
        for name, node in sorted(folder.seen.items())
    ]
    return FolderImage(tuple(entries), folder.mtime_ns)
