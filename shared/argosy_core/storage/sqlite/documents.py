"""Documents as rows of a database."""

from __future__ import annotations

from collections.abc import Sequence

from anyio import to_thread

from argosy_core.storage.base import ANY, Content, Expect, FileInfo
from argosy_core.storage.kept_versions import versions_of
from argosy_core.storage.sqlite.database import Database
from argosy_core.storage.sqlite.files import SqliteFiles


class SqliteDocuments:
    """`Documents`; writes that arrive together share one sync."""

    def __init__(self, database: Database, files: SqliteFiles) -> None:
        self._database = database
        self._files = files

    async def read(self, path: str) -> Content:
        return await to_thread.run_sync(self._files.read, path)

    async def read_from(self, path: str, offset: int, max_bytes: int | None = None) -> bytes:
        return await to_thread.run_sync(self._files.read_from, path, offset, max_bytes)

    async def info(self, path: str) -> FileInfo | None:
        return await to_thread.run_sync(self._files.info, path)

    async def write(self, path: str, data: bytes, *, expect: Expect = ANY, keep_version: bool = False) -> Content:
        work = self._files.replacing(path, data, expect=expect, keep_version=keep_version)
        return await self._database.submit(work)

    async def remove(self, path: str, *, expect: Expect = ANY) -> None:
        await self._database.submit(self._files.removing(path, expect=expect))

    async def list(self, prefix: str, suffix: str = "", *, deep: bool = False) -> Sequence[FileInfo]:
        if deep:
            return await to_thread.run_sync(lambda: [*self._files.walk(prefix, suffix)])
        return await to_thread.run_sync(self._files.files, prefix, suffix)

    async def folders(self, prefix: str = "") -> Sequence[str]:
        return await to_thread.run_sync(self._files.folders, prefix)

    async def versions(self, path: str) -> Sequence[FileInfo]:
        return await to_thread.run_sync(versions_of, self._files, path)
