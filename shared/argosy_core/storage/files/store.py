"""The file substrate as one store."""

from __future__ import annotations

from pathlib import Path

from argosy_core.clock import Clock
from argosy_core.content import ANY, Content, Expect
from argosy_core.ids import Ids
from argosy_core.off_loop import off_loop
from argosy_core.storage.address import Address
from argosy_core.storage.files.archive import FileArchive
from argosy_core.storage.files.bell import FileBell
from argosy_core.storage.files.chain import FileChain
from argosy_core.storage.files.documents import FileDocuments
from argosy_core.storage.files.draft_sweep import DraftSweep
from argosy_core.storage.files.items import FileItems
from argosy_core.storage.files.leases import FileLeases
from argosy_core.storage.logged import Telling
from argosy_core.storage.open_store import OpenStore
from argosy_core.vault import Vault


class FileStore(OpenStore):
    """Documents, chain, leases, items and bell of one vault on disk."""

    def __init__(self, vault: Vault, clock: Clock, ids: Ids) -> None:
        super().__init__()
        self.address = Address()
        self.vault = vault
        self.files = vault
        self.documents = FileDocuments(vault)
        self.chain = FileChain(vault, clock, ids)
        self.leases = FileLeases(vault, clock, ids)
        self.items = FileItems(vault, clock, ids)
        self.bell = FileBell(vault.root)
        self.archive = FileArchive(vault)
        self._sweep = DraftSweep(vault)

    async def write_logged(
        self, path: str, data: bytes, telling: Telling, *, expect: Expect = ANY, keep_version: bool = False
    ) -> Content:
        """`storage.logged.write_logged` in one hop to a worker thread."""

        def write() -> Content:
            content = self.vault.replace(path, data, expect=expect, keep_version=keep_version)
            self.chain.append_here(telling.stream, telling.writer, telling.tell(content), telling.key)
            return content

        return await off_loop(write)  # which no cancellation breaks off once it has begun

    @property
    def root(self) -> Path:
        return self.vault.root

    def state_path(self, name: str) -> Path:
        return self.vault.state_path(name)

    def _begin(self) -> None:
        self.bell.start()
        self._sweep.start()

    def _rest(self) -> None:
        self.bell.stop()
        self._sweep.stop()
        self.chain.close()  # what was learned is kept for the next start

    def _release(self) -> None:
        self.bell.stop()
        self._sweep.stop()
        self.chain.close()
        self.items.close()
        self.vault.close()
