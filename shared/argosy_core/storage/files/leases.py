"""Leases as files, each changed under its lock."""

from __future__ import annotations

from contextlib import suppress

from anyio import to_thread

from argosy_core.clock import Clock
from argosy_core.errors import NotFound
from argosy_core.ids import Ids
from argosy_core.storage.document_leases import DocumentLeases, Step
from argosy_core.vault import Vault


class FileLeases(DocumentLeases):
    """`Leases` over a vault."""

    def __init__(self, vault: Vault, clock: Clock, ids: Ids) -> None:
        super().__init__(clock, ids)
        self._vault = vault

    async def _step(self, path: str, step: Step) -> None:
        await to_thread.run_sync(self._step_here, path, step)

    def _step_here(self, path: str, step: Step) -> None:
        with self._vault.lock(path):
            data = step(self._content(path))
            if data is not None:
                self._vault.replace(path, data)

    async def _read(self, path: str) -> bytes | None:
        return await to_thread.run_sync(self._content, path)

    def _content(self, path: str) -> bytes | None:
        with suppress(NotFound):
            return self._vault.read(path).data
        return None
