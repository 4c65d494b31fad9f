"""A reader over a vault on disk."""

from __future__ import annotations

from argosy_core.errors import NotFound
from argosy_core.storage.base import Files


class VaultReader:
    """`Reader` over *vault*. Every call blocks: use it off the event loop."""

    def __init__(self, vault: Files) -> None:
        self._vault = vault

    def read(self, path: str) -> bytes | None:
        try:
            return self._vault.read(path).data
        except NotFound:
            return None

    def list_dir(self, path: str) -> list[str]:
        if path and self._vault.info(path) is not None:
            return []  # a file
        files = [info.path.rsplit("/", 1)[-1] for info in self._vault.files(path)]
        return sorted([*files, *self._vault.folders(path)])
