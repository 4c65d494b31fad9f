"""The file substrate as one store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from anyio import CancelScope, to_thread

from argosy_core.clock import Clock
from argosy_core.ids import Ids
from argosy_core.storage.files.archive import FileArchive
from argosy_core.storage.files.bell import FileBell
from argosy_core.storage.files.chain import FileChain
from argosy_core.storage.files.documents import FileDocuments
from argosy_core.storage.files.items import FileItems
from argosy_core.storage.files.leases import FileLeases
from argosy_core.vault import Vault

T = TypeVar("T")


class FileStore:
    """Documents, chain, leases, items and bell of one vault on disk."""

    kind = "files"

    def __init__(self, vault: Vault, clock: Clock, ids: Ids) -> None:
        self.vault = vault
        self.files = vault
        self.documents = FileDocuments(vault)
        self.chain = FileChain(vault, clock, ids)
        self.leases = FileLeases(vault, clock, ids)
        self.items = FileItems(vault, clock, ids)
        self.bell = FileBell(vault.root)
        self.archive = FileArchive(vault)
        self._users = 0
        self._guard = threading.Lock()
        self._shared: dict[str, Any] = {}
        self._closers: list[Callable[[], None]] = []

    @property
    def root(self) -> Path:
        return self.vault.root

    def state_path(self, name: str) -> Path:
        return self.vault.state_path(name)

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

    def shared(self, name: str, make: Callable[[], T], close: Callable[[T], None]) -> T:
        """The one *name* of this store, made by whoever asks first: several instances of a server keep one index.

        *close* is called with it when the store closes.
        """
        with self._guard:
            if name not in self._shared:
                made = make()
                self._shared[name] = made
                self._closers.append(lambda: close(made))
            found: T = self._shared[name]
            return found

    def on_close(self, closer: Callable[[], None]) -> None:
        """Call *closer* when the store closes: what servers keep open over it ends with it."""
        self._closers.append(closer)

    def close(self) -> None:
        closers, self._closers = self._closers, []
        for closer in reversed(closers):
            closer()
        self.bell.stop()
        self.chain.close()
        self.items.close()
        self.vault.close()
