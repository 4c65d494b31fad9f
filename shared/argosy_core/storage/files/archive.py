"""A vault on disk as the files that it is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence

from anyio import to_thread

from argosy_core.storage.base import ABSENT, LEFT_OUT
from argosy_core.vault import Vault


class FileArchive:
    """`Archive` over a vault. Files of every name travel, also those that no tool of the fleet would touch."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def paths(self) -> Sequence[str]:
        return await to_thread.run_sync(lambda: sorted(self._walk("")))

    def _walk(self, folder: str) -> Iterator[str]:
        with os.scandir(self._vault.root / folder) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    if path not in LEFT_OUT:
                        yield from self._walk(path)
                elif entry.is_file(follow_symlinks=False):
                    yield path

    async def read(self, path: str) -> bytes:
        return await to_thread.run_sync(lambda: self._vault.read(path, sys.maxsize).data)

    async def write(self, path: str, data: bytes) -> None:
        await to_thread.run_sync(lambda: self._vault.replace(path, data, expect=ABSENT, max_bytes=sys.maxsize))
