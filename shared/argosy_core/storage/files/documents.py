"""Documents as files of the vault."""

from __future__ import annotations

import os
from collections.abc import Sequence

from anyio import to_thread

from argosy_core.names import check_path
from argosy_core.storage.base import ANY, Content, Expect, FileInfo
from argosy_core.vault import Vault


class FileDocuments:
    """`Documents` over a vault; every call is one hop to a worker thread."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def read(self, path: str) -> Content:
        return await to_thread.run_sync(self._vault.read, path)

    async def read_from(self, path: str, offset: int, max_bytes: int | None = None) -> bytes:
        return await to_thread.run_sync(self._vault.read_from, path, offset, max_bytes)

    async def info(self, path: str) -> FileInfo | None:
        return await to_thread.run_sync(self._vault.info, path)

    async def write(self, path: str, data: bytes, *, expect: Expect = ANY, keep_version: bool = False) -> Content:
        return await to_thread.run_sync(
            lambda: self._vault.replace(path, data, expect=expect, keep_version=keep_version)
        )

    async def remove(self, path: str, *, expect: Expect = ANY) -> None:
        await to_thread.run_sync(lambda: self._vault.remove(path, expect=expect))

    async def list(self, prefix: str, suffix: str = "", *, deep: bool = False) -> Sequence[FileInfo]:
        return await to_thread.run_sync(self._list_deep if deep else self._vault.files, prefix, suffix)

    def _list_deep(self, prefix: str, suffix: str) -> Sequence[FileInfo]:
        return sorted(self._vault.walk(prefix, suffix), key=lambda info: info.path)

    async def folders(self, prefix: str = "") -> Sequence[str]:
        return await to_thread.run_sync(self._vault.folders, prefix)

    async def versions(self, path: str) -> Sequence[FileInfo]:
        *folder, name = check_path(path)
        stem, suffix = os.path.splitext(name)
        kept = await to_thread.run_sync(self._vault.files, "/".join((*folder, ".versions", stem)), suffix)
        # Documents that differ in their suffix share a folder.
        return [info for info in reversed(kept) if os.path.splitext(info.path)[1] == suffix]
