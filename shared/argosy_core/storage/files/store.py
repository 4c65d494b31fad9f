"""The file substrate as one store."""

from __future__ import annotations

from collections.abc import Callable

from anyio import CancelScope, to_thread

from argosy_core.clock import Clock
from argosy_core.ids import Ids
from argosy_core.storage.files.bell import FileBell
from argosy_core.storage.files.chain import FileChain
from argosy_core.storage.files.documents import FileDocuments
from argosy_core.storage.files.leases import FileLeases
from argosy_core.vault import Vault


class FileStore:
    """Documents, chain, leases and bell of one vault on disk."""

    def __init__(self, vault: Vault, clock: Clock, ids: Ids) -> None:
        self.vault = vault
        self.documents = FileDocuments(vault)
        self.chain = FileChain(vault, clock, ids)
        self.leases = FileLeases(vault, clock, ids)
        self.bell = FileBell(vault.root)
        self._users = 0
        self._closers: list[Callable[[], None]] = []

    def start(self) -> None:
        """Watch the folder until as many `stop` calls came as there were `start` calls."""
        self._users += 1
        if self._users == 1:
            self.bell.start()

    async def stop(self) -> None:
        """End what `start` began, and keep what was learned for the next start."""
        self._users -= 1
        if self._users == 0:
            with CancelScope(shield=True):
                await to_thread.run_sync(self.bell.stop)
                await to_thread.run_sync(self.chain.close)

    def on_close(self, closer: Callable[[], None]) -> None:
        """Call *closer* when the store closes: what servers keep open over it ends with it."""
        self._closers.append(closer)

    def close(self) -> None:
        closers, self._closers = self._closers, []
        for closer in closers:
            closer()
        self.bell.stop()
        self.chain.close()
        self.vault.close()
