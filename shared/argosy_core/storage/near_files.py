"""A vault's files for code that begins on the event loop and goes off it when it comes to something to wait for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from argosy_core.clock import Clock
from argosy_core.content import ANY, Content, Expect, FileInfo
from argosy_core.disks import is_local
from argosy_core.off_loop import about_to_wait
from argosy_core.storage.base import Files, Store

REMEMBERED_SECONDS = 60.0  # so long after a look the kernel still has names and stamps of a folder in its memory


class NearFiles:
    """*store*'s files. All that would wait raises WouldBlock on the loop (`off_loop.here_or_off_loop`).

    Stamps alone are given there: of a folder on a disk of this machine that was looked at a moment ago.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._files: Files = store.files
        self._root: Path | None = store.root if store.address.kind == "files" else None
        self._clock = clock
        self._looked: dict[str, float] = {}

    def stamps(self, folder: str, names: Sequence[str]) -> tuple[tuple[int, int] | None, ...]:
        now = self._clock.monotonic()
        is_fresh = now - self._looked.get(folder, float("-inf")) <= REMEMBERED_SECONDS
        if not is_fresh:
            about_to_wait()
        found = self._files.stamps(folder, names)
        if is_fresh or (self._root is not None and is_local(self._root / folder)):
            self._looked[folder] = now
        return found

    def read(self, path: str) -> Content:
        about_to_wait()
        return self._files.read(path)

    def read_from(self, path: str, offset: int, max_bytes: int | None = None) -> bytes:
        about_to_wait()
        return self._files.read_from(path, offset, max_bytes)

    def info(self, path: str) -> FileInfo | None:
        about_to_wait()
        return self._files.info(path)

    def replace(self, path: str, data: bytes, *, expect: Expect = ANY, keep_version: bool = False) -> Content:
        about_to_wait()
        return self._files.replace(path, data, expect=expect, keep_version=keep_version)

    def remove(self, path: str, *, expect: Expect = ANY) -> None:
        about_to_wait()
        self._files.remove(path, expect=expect)

    def folders(self, path: str = "") -> Sequence[str]:
        about_to_wait()
        return self._files.folders(path)

    def files(self, path: str, suffix: str = "") -> Sequence[FileInfo]:
        about_to_wait()
        return self._files.files(path, suffix)

    def walk(self, path: str, suffix: str = "", *, deep: bool = True) -> Iterator[FileInfo]:
        about_to_wait()
        return self._files.walk(path, suffix, deep=deep)
