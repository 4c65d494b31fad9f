"""The folders of one queue: a file for each item, in the folder of its state.

A change of state puts the new file into its folder, durably, and then takes the old one away, durably: whatever the
step at which power or process is lost, the item is there. Between the two it stands in two folders, and the higher
revision is the item. The caller holds the queue's lock.

A folder is sealed after each change: it gets a modification time that nobody else's change would leave. So one look
tells whether a crash, a power cut or a person left something that the projection does not know.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from argosy_core.drafts import discard, open_draft
from argosy_core.errors import NotFound
from argosy_core.ids import Ids
from argosy_core.names import is_sound
from argosy_core.storage.item import ITEM_STATES, ItemState
from argosy_core.storage.item_record import ROOT
from argosy_core.vault import MAX_FILE_BYTES, Vault

SUFFIX = ".json"
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_MILLISECOND_NS = 1_000_000
Stamp = tuple[int, int]
"""Modification time and size."""
UNREAD: Stamp = (-1, -1)
"""Of a file that the disk did not give: no file has it, so the next look reads again."""


class QueueFolders:
    """What lies in the folders of *queue*."""

    def __init__(self, vault: Vault, ids: Ids, queue: str) -> None:
        self.path = f"{ROOT}/{queue}"
        self._vault = vault
        self._fs = vault.fs
        self._ids = ids

    def seals(self) -> dict[ItemState, int]:
        """The modification time of each state's folder that is there."""
        found: dict[ItemState, int] = {}
        try:
            with self._vault.opened_folder(self.path) as folder:
                for state in ITEM_STATES:
                    with suppress(FileNotFoundError):
                        found[state] = self._fs.stat(state, dir_fd=folder).st_mtime_ns
        except NotFound:
            return {}
        return found

    def _seal(self, folder: int) -> int:
        now = self._fs.fstat(folder).st_mtime_ns
        below = int.from_bytes(self._ids.random(3), "big") % (_MILLISECOND_NS - 1) + 1
        with suppress(OSError):  # the folder is somebody else's: then its time alone must do
            self._fs.set_mtime(folder, now - now % _MILLISECOND_NS + below)
        return self._fs.fstat(folder).st_mtime_ns

    def read(self, state: ItemState, id: str) -> tuple[bytes, Stamp]:
        """An item's file. Raises NotFound, and what `Vault.read` raises."""
        content = self._vault.read(f"{self.path}/{state}/{id}{SUFFIX}")
        return content.data, content.stamp

    def put(self, state: ItemState, files: Mapping[str, bytes]) -> tuple[dict[str, Stamp], int]:
        """Make *files* (by id) durable in the folder of *state*; the stamps they got, and the folder's seal."""
        with self._vault.opened_folder(f"{self.path}/{state}", create=True) as folder:
            drafts: dict[str, str] = {}
            try:
                stamps = {id: self._draft(folder, id, data, drafts) for id, data in files.items()}
                for id, draft in list(drafts.items()):
                    self._fs.rename(draft, f"{id}{SUFFIX}", dir_fd=folder)
                    del drafts[id]
            finally:
                for draft in drafts.values():
                    discard(self._fs, folder, draft)
            self._fs.fsync(folder)
            return stamps, self._seal(folder)

    def _draft(self, folder: int, id: str, data: bytes, drafts: dict[str, str]) -> Stamp:
        drafts[id], fd = open_draft(self._fs, folder, id, self._ids)
        try:
            view = memoryview(data)
            while view:
                view = view[self._fs.write(fd, view) :]
            self._fs.fsync(fd)
            found = self._fs.fstat(fd)
        finally:
            self._fs.close(fd)
        return found.st_mtime_ns, found.st_size

    def drop(self, state: ItemState, ids: Iterable[str]) -> int:
        """Take the files of *ids* out of the folder of *state*, durably; the folder's seal."""
        with self._vault.opened_folder(f"{self.path}/{state}", create=True) as folder:
            for id in ids:
                self._unlink(folder, f"{id}{SUFFIX}")
            self._fs.fsync(folder)
            return self._seal(folder)

    def _unlink(self, folder: int, name: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.unlink(name, dir_fd=folder)

    def states_of(self, id: str) -> list[ItemState]:
        """The folders that hold a file of *id*."""
        found: list[ItemState] = []
        try:
            with self._vault.opened_folder(self.path) as folder:
                for state in ITEM_STATES:
                    with suppress(FileNotFoundError, NotADirectoryError):
                        self._fs.stat(f"{state}/{id}{SUFFIX}", dir_fd=folder)
                        found.append(state)
        except NotFound:
            return []
        return found

    def holds(self, state: ItemState, id: str) -> bool:
        """Whether there is a file of *id* in the folder of *state*."""
        return self._vault.info(f"{self.path}/{state}/{id}{SUFFIX}") is not None

    def survey(
        self, state: ItemState, is_known: Callable[[str, Stamp], bool]
    ) -> tuple[int, set[str], Sequence[tuple[str, bytes, Stamp]]]:
        """Seal the folder of *state* and look at all of it: the seal, every id, and the files that are not known.

        The seal is 0 when the disk did not give one of them (that one is `UNREAD`): then somebody must look again.
        Drafts that a crash left are swept, and what is not known is durable then: who wrote it may have died before.
        """
        with self._vault.opened_folder(f"{self.path}/{state}", create=True, own=True) as folder:
            names = self._fs.names(folder)
            for name in names:
                if name.startswith(".") and name.endswith(".tmp"):
                    self._unlink(folder, name)
            seal = self._seal(folder)
            ids: set[str] = set()
            unknown: list[tuple[str, bytes, Stamp]] = []
            for name in self._fs.names(folder):
                if name.endswith(SUFFIX) and not name.startswith(".") and is_sound(name):
                    self._survey_one(folder, name, is_known, ids, unknown)
            if unknown:
                self._fs.fsync(folder)
            return 0 if any(stamp == UNREAD for _, _, stamp in unknown) else seal, ids, unknown

    def _survey_one(
        self,
        folder: int,
        name: str,
        is_known: Callable[[str, Stamp], bool],
        ids: set[str],
        unknown: list[tuple[str, bytes, Stamp]],
    ) -> None:
        try:
            found = self._fs.stat(name, dir_fd=folder)
            if not stat.S_ISREG(found.st_mode):
                return
            id, stamp = name.removesuffix(SUFFIX), (found.st_mtime_ns, found.st_size)
            if not is_known(id, stamp):
                unknown.append(self._unknown(folder, id, stamp))
            ids.add(id)
        except FileNotFoundError:
            return  # a person took it away while we looked

    def _unknown(self, folder: int, id: str, stamp: Stamp) -> tuple[str, bytes, Stamp]:
        try:
            data = self._content(folder, f"{id}{SUFFIX}") if stamp[1] <= MAX_FILE_BYTES else b""
        except FileNotFoundError:
            raise
        except OSError:  # the others are to go on
            return id, b"", UNREAD
        return id, data, stamp

    def _content(self, folder: int, name: str) -> bytes:
        fd = self._fs.open(name, _READ, dir_fd=folder)
        try:
            chunks: list[bytes] = []
            while chunk := self._fs.read(fd, 1 << 20):
                chunks.append(chunk)
            return b"".join(chunks)
        finally:
            self._fs.close(fd)
