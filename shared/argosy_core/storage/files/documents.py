"""Documents as files of the vault."""

from __future__ import annotations

from collections.abc import Sequence

from argosy_core.off_loop import off_loop
from argosy_core.storage.base import ANY, Content, Expect, FileInfo
from argosy_core.storage.kept_versions import versions_of
from argosy_core.vault import Vault


class FileDocuments:
    """`Documents` over a vault; every call is one hop to a worker thread."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def read(self, path: str) -> Content:
        return await off_loop(self._vault.read, path)

    async def read_from(self, path: str, offset: int, max_bytes: int | None = None) -> bytes:
        return await off_loop(self._vault.read_from, path, offset, max_bytes)

    async def info(self, path: str) -> FileInfo | None:
        return await off_loop(self._vault.info, path)

    async def write(self, path: str, data: bytes, *, expect: Expect = ANY, keep_version: bool = False) -> Content:
        return await off_loop(lambda: self._vault.replace(path, data, expect=expect, keep_version=keep_version))

    async def remove(self, path: str, *, expect: Expect = ANY) -> None:
        await off_loop(lambda: self._vault.remove(path, expect=expect))

    async def list(self, prefix: str, suffix: str = "", *, deep: bool = False) -> Sequence[FileInfo]:
        return await off_loop(self._list_deep if deep else self._vault.files, prefix, suffix)

    def _list_deep(self, prefix: str, suffix: str) -> Sequence[FileInfo]:
        return sorted(self._vault.walk(prefix, suffix), key=lambda info: info.path)

    async def folders(self, prefix: str = "") -> Sequence[str]:
        return await off_loop(self._vault.folders, prefix)

    async def versions(self, path: str) -> Sequence[FileInfo]:
        return await off_loop(versions_of, self._vault, path)
