"""The vault: a folder that people and several processes write at the same time.

Every path is walked component by component from an open root with ``O_NOFOLLOW``, so no name, link or race leaves the
vault. A replace is temporary file → fsync → rename → fsync of the folder; an append is lock → one write → fsync.
All methods block; call them off the event loop.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import lru_cache
from operator import itemgetter
from pathlib import Path

from argosy_core.canonical import sha256_hex
from argosy_core.clock import Clock, SystemClock
from argosy_core.content import ABSENT, ANY, Content, Expect, FileInfo, check_expected
from argosy_core.drafts import MIN_AGE_SECONDS, discard, open_draft, sweep_drafts
from argosy_core.errors import (
    InvalidArgument,
    NotFound,
    PermissionDenied,
    TooLarge,
)
from argosy_core.fs import FileSystem, PosixFileSystem
from argosy_core.ids import Ids, SystemIds
from argosy_core.locks import LockFolder
from argosy_core.names import check_path, sound_names
from argosy_core.os_errors import os_errors
from argosy_core.walk import FolderWalk

__all__ = ["ABSENT", "ANY", "MAX_FILE_BYTES", "STATE_FOLDER", "Content", "Expect", "FileInfo", "Vault"]
MAX_FILE_BYTES = 16 * 1024 * 1024
STATE_FOLDER = ".argosy"
# O_NONBLOCK: opening a FIFO that somebody put into the vault must not wait for its other end.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_WRITE = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_APPEND = _WRITE | os.O_APPEND | os.O_CREAT
_PATH = itemgetter(0)
_TICK_NS = 1_000_000_000  # an mtime farther ahead is somebody's doing


class Vault:
    """One vault on disk.

    Raises NotFound on construction when *root* is not a folder.
    """

    def __init__(
        self, root: Path | str, *, fs: FileSystem | None = None, clock: Clock | None = None, ids: Ids | None = None
    ) -> None:
        self.root = Path(root).expanduser().resolve()
        if not self.root.is_dir():
            raise NotFound(f"there is no vault at {root}", hint=f"create one with: mcp-host init {root}")
        self.fs = fs or PosixFileSystem()
        self.clock = clock or SystemClock()
        self._ids = ids or SystemIds()
        self._root_fd = self.fs.open(str(self.root), os.O_RDONLY | os.O_DIRECTORY)
        self._walk = FolderWalk(self.fs, self._root_fd)
        self._locks = LockFolder(str(self.root / STATE_FOLDER / "locks"), self.fs, self.clock)

    def close(self) -> None:
        """Close the root descriptor and what locks keep open. Idempotent."""
        self._locks.close()
        self._walk.close()
        fd, self._root_fd = self._root_fd, -1
        if fd >= 0:
            self.fs.close(fd)

    def __del__(self) -> None:
        if getattr(self, "_root_fd", -1) >= 0:
            self.close()

    # Reading

    def read(self, path: str, max_bytes: int = MAX_FILE_BYTES) -> Content:
        """The file at *path*.

        Raises NotFound, TooLarge, PermissionDenied (a link, a device), InvalidArgument (a bad path).
        """
        parts = check_path(path)
        with os_errors(path), self._walk.folder(parts[:-1]) as folder:
            return self._read_in(folder, parts[-1], path, max_bytes)

    def _read_in(self, folder: int, name: str, path: str, max_bytes: int = MAX_FILE_BYTES) -> Content:
        with self._walk.opened(folder, name, _READ) as fd:
            info = self._regular(fd, path)
            if info.st_size > max_bytes:
                raise TooLarge(f"{path} has {info.st_size} bytes; the limit is {max_bytes}", path=path)
            data = self._drain(fd, info.st_size)
        return Content(path, data, sha256_hex(data), (info.st_mtime_ns, len(data)))

    def info(self, path: str) -> FileInfo | None:
        """The stamp of the regular file at *path*; None when there is none."""
        parts = check_path(path)
        try:
            with os_errors(path), self._walk.folder(parts[:-1]) as folder:
                found = self.fs.stat(parts[-1], dir_fd=folder)
        except NotFound:
            return None
        return FileInfo(path, (found.st_mtime_ns, found.st_size)) if stat.S_ISREG(found.st_mode) else None

    def stamps(self, folder: str, names: Sequence[str]) -> tuple[tuple[int, int] | None, ...]:
        """The stamps of several files in *folder*, the root (empty) or a folder right in it; None for a missing file.

        Raises PermissionDenied when one is a link or a device, which `info` takes for a missing file.
        """
        paths = _single_names(folder, tuple(names))
        try:
            with os_errors(folder):
                if folder and not stat.S_ISDIR(self.fs.stat(folder, dir_fd=self._root_fd).st_mode):
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
                return tuple(map(self._stamp_of, paths))
        except NotFound:
            return (None,) * len(paths)

    def _stamp_of(self, path: str) -> tuple[int, int] | None:
        try:
            info = self.fs.stat(path, dir_fd=self._root_fd)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(info.st_mode):
            raise PermissionDenied(f"{path} is not a regular file", path=path)
        return info.st_mtime_ns, info.st_size

    def folders(self, path: str = "") -> list[str]:
        """Names of the folders in *path*, sorted; links and names starting with ``.`` are left out."""
        return sorted(name for name, info in self._entries(path) if stat.S_ISDIR(info.st_mode))

    def files(self, path: str, suffix: str = "") -> list[FileInfo]:
        """Regular files right in *path* whose names end in *suffix*, sorted by name; [] when it is not there."""
        # Of a hundred thousand, pairs take ten times as long to compare as texts.
        return sorted(self.walk(path, suffix, deep=False), key=_PATH)

    def walk(self, path: str, suffix: str = "", *, deep: bool = True) -> Iterator[FileInfo]:
        """Like `files`, when *deep* in all folders below *path* too, one by one and in no order."""
        above = f"{path}/" if path else ""
        for name, info in self._entries(path, suffix):
            if stat.S_ISREG(info.st_mode):
                yield FileInfo(above + name, (info.st_mtime_ns, info.st_size))
        for name in self.folders(path) if deep else ():
            yield from self.walk(above + name, suffix)

    def _entries(self, path: str, suffix: str = "") -> Iterator[tuple[str, os.stat_result]]:
        """In the disk's own order, in which a large folder is looked through fastest."""
        parts = check_path(path) if path else ()
        look = self.fs.stat
        try:
            with os_errors(path), self._walk.own_folder(parts) as folder:
                # What is not sound, no call could ask for.
                for name in sound_names(self.fs.names(folder)):
                    if name.startswith(".") or not name.endswith(suffix):
                        continue
                    try:  # nothing that costs: there may be very many
                        info = look(name, dir_fd=folder)
                    except FileNotFoundError:  # renamed or removed while we listed
                        continue
                    yield name, info
        except NotFound:
            return

    # Writing

    def replace(
        self,
        path: str,
        data: bytes,
        *,
        expect: Expect = ANY,
        keep_version: bool = False,
        max_bytes: int = MAX_FILE_BYTES,
    ) -> Content:
        """Put *data* at *path*, durably and at once; a reader sees the old or the new file, never part of one.

        *expect* is a version (`Content.version`), ABSENT or ANY. With *keep_version* the old content is first kept
        under ``.versions/<stem>/`` beside the file. Raises Conflict (with the current version in its detail),
        AlreadyExists when ABSENT was expected, TooLarge.
        """
        if len(data) > max_bytes:
            raise TooLarge(f"{path} would have {len(data)} bytes; the limit is {max_bytes}", path=path)
        parts = check_path(path)
        parent = "/".join(parts[:-1])
        with self.lock(parent), os_errors(path), self._walk.folder(parts[:-1], create=True) as folder:
            # Who takes whatever is there need not read it.
            old = self._current(folder, parts[-1], path) if keep_version or expect is not ANY else None
            check_expected(path, expect, old)
            if keep_version and old is not None and old.data != data:
                self._keep(parent, parts[-1], old)
            is_new = old is None and (keep_version or expect is not ANY)
            return self._replace_in(folder, parts[-1], path, data, is_new=is_new)

    def _current(self, folder: int, name: str, path: str) -> Content | None:
        try:
            return self._read_in(folder, name, path)
        except FileNotFoundError:
            return None

    def _keep(self, parent: str, name: str, old: Content) -> None:
        stem, suffix = os.path.splitext(name)
        stamp = f"{self.clock.now():%Y%m%dT%H%M%S%fZ}_{old.version[:8]}{suffix}"
        folder = tuple(p for p in (*parent.split("/"), ".versions", stem) if p)
        with self._walk.folder(folder, create=True) as fd:
            self._replace_in(fd, stamp, "/".join((*folder, stamp)), old.data, is_new=False)

    def _replace_in(self, folder: int, name: str, path: str, data: bytes, *, is_new: bool) -> Content:
        draft, fd = open_draft(self.fs, folder, name, self._ids)
        try:
            try:
                old = None if is_new else self._copy_mode(fd, folder, name, path)
                self._write_all(fd, data)
                mtime = self._later_mtime(fd, old)
                self.fs.fsync(fd)
            finally:
                self.fs.close(fd)
            self.fs.rename(draft, name, dir_fd=folder)
        except BaseException:
            discard(self.fs, folder, draft)
            raise
        self.fs.fsync(folder)
        return Content(path, data, sha256_hex(data), (mtime, len(data)))

    def _copy_mode(self, fd: int, folder: int, name: str, path: str) -> os.stat_result | None:
        try:
            old = self.fs.stat(name, dir_fd=folder)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(old.st_mode):
            raise PermissionDenied(f"{path} is not a regular file", path=path)
        self.fs.chmod(fd, stat.S_IMODE(old.st_mode))
        return old

    def _later_mtime(self, fd: int, old: os.stat_result | None) -> int:
        """The mtime of the file just written, made later than that of *old*: some kernels' clocks tick every 10 ms."""
        mtime = self.fs.fstat(fd).st_mtime_ns
        if old is None or not 0 <= old.st_mtime_ns - mtime < _TICK_NS:
            return mtime
        self.fs.set_mtime(fd, old.st_mtime_ns + 1)
        return self.fs.fstat(fd).st_mtime_ns

    def sweep(
        self, *, min_age_seconds: float = MIN_AGE_SECONDS, is_stopped: Callable[[], bool] = lambda: False
    ) -> list[str]:
        """Remove the drafts that dead writers left, at least *min_age_seconds* old; their paths."""
        now = self.clock.now().timestamp()
        with os_errors("the vault"):
            found = sweep_drafts(self.fs, self._walk, now, min_age_seconds=min_age_seconds, is_stopped=is_stopped)
            return list(found)

    def remove(self, path: str, *, expect: Expect = ANY) -> None:
        """Take the file at *path* away, durably. Raises NotFound, and Conflict when *expect* is another version."""
        parts = check_path(path)
        with self.lock("/".join(parts[:-1])), os_errors(path), self._walk.folder(parts[:-1]) as folder:
            check_expected(path, expect, self._read_in(folder, parts[-1], path))
            self.fs.unlink(parts[-1], dir_fd=folder)
            self.fs.fsync(folder)

    def append(self, path: str, data: bytes) -> int:
        """Add *data* at the end of *path*, durably, and return the file's new size in bytes.

        The caller holds the lock that all appenders of this file share. A failed write leaves the file as it was.
        """
        fd = self.open_append(path)
        try:
            return self.append_to(fd, path, data)
        finally:
            self.fs.close(fd)

    def open_append(self, path: str) -> int:
        """A descriptor for `append_to`, for the caller to close; from then on the file is there, empty if need be."""
        parts = check_path(path)
        with os_errors(path), self._walk.folder(parts[:-1], create=True) as folder:
            fd = self.fs.open(parts[-1], _APPEND, dir_fd=folder)
            try:
                self._walk.settle(folder, fd)
            except BaseException:
                self.fs.close(fd)
                raise
            return fd

    def append_to(self, fd: int, path: str, data: bytes) -> int:
        """As `append`, to *path* as `open_append` opened it.

        After an error *fd* is of no more use: the kernel may count what it failed to write as written.
        """
        with os_errors(path):
            before = self._regular(fd, path).st_size
            try:
                self._write_all(fd, data)
                self.fs.fsync(fd)
            except BaseException:
                self._take_back(fd, before)
                raise
        return before + len(data)

    def _take_back(self, fd: int, size: int) -> None:
        with suppress(OSError):  # why the append failed is what the caller must hear
            self.fs.truncate(fd, size)
            self.fs.fsync(fd)

    def look(self, path: str) -> os.stat_result | None:
        """What stands at *path*, by one plain call: only to compare with, since folders on the way may be links."""
        try:
            return self.fs.stat(path, dir_fd=self._root_fd)
        except OSError:
            return None

    def read_from(self, path: str, offset: int, max_bytes: int | None = None) -> bytes:
        """The bytes of *path* from *offset*, to its end or at most *max_bytes*; b"" when it is not there or shorter."""
        parts = check_path(path)
        try:
            with (
                os_errors(path),
                self._walk.folder(parts[:-1]) as folder,
                self._walk.opened(folder, parts[-1], _READ) as fd,
            ):
                size = self._regular(fd, path).st_size - offset
                size = size if max_bytes is None else min(size, max_bytes)
                return self._drain(fd, size, offset)
        except NotFound:
            return b""

    def cut_tail(self, path: str, keep_bytes: int) -> str:
        """Set the bytes of *path* after *keep_bytes* aside under ``.argosy/recovered`` and cut them off the file.

        Returns where they were put, relative to the vault. The caller holds the lock of the file's appenders.
        """
        tail = self.read_from(path, keep_bytes)
        name = path.replace("/", "%2f").encode()[-120:].decode(errors="ignore")
        aside = f"{STATE_FOLDER}/recovered/{name}.{self.clock.now():%Y%m%dT%H%M%S%f}.{self._ids.random(3).hex()}"
        self.replace(aside, tail)
        parts = check_path(path)
        with (
            os_errors(path),
            self._walk.folder(parts[:-1]) as folder,
            self._walk.opened(folder, parts[-1], _WRITE) as fd,
        ):
            self.fs.truncate(fd, keep_bytes)
            self.fs.fsync(fd)
        return aside

    def lock(self, name: str, wait_seconds: float = 10.0) -> AbstractContextManager[None]:
        """Hold the lock *name* (by custom a folder's path) against threads and processes on this vault."""
        return self._locks.hold(name or "root", wait_seconds)

    def state_path(self, name: str) -> Path:
        """Where the rebuildable file *name* of ``.argosy`` lies; the folder is made if it can be."""
        folder = self.root / STATE_FOLDER
        with suppress(OSError):  # a full or read-only disk: who opens the file says so
            folder.mkdir(mode=0o700, exist_ok=True)
        return folder / name

    @contextmanager
    def opened_folder(self, path: str, create: bool = False, *, own: bool = False) -> Generator[int]:
        """A descriptor of the folder *path*, walked like every path, for several steps in one folder.

        Only with *own* may its names be read: else others use it at the same time.
        """
        parts = check_path(path)
        walk = self._walk.own_folder if own else self._walk.folder
        with os_errors(path), walk(parts, create) as folder:
            yield folder

    def _regular(self, fd: int, path: str) -> os.stat_result:
        info = self.fs.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise PermissionDenied(f"{path} is not a regular file", path=path)
        return info

    def _drain(self, fd: int, size: int, offset: int = 0) -> bytes:
        chunks: list[bytes] = []
        while size > 0 and (chunk := self.fs.pread(fd, min(size, 1 << 20), offset)):
            chunks.append(chunk)
            size -= len(chunk)
            offset += len(chunk)
        return b"".join(chunks)

    def _write_all(self, fd: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self.fs.write(fd, view) :]


@lru_cache(maxsize=256)  # policies are asked for by the same few names, before every action
def _single_names(folder: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The paths of *names* in *folder*. Raises InvalidArgument when one of them is no single name."""
    for name in (folder, *names) if folder else names:
        if len(check_path(name)) > 1:
            raise InvalidArgument(f"{name} is no single name")
    return tuple(f"{folder}/{name}" if folder else name for name in names)
