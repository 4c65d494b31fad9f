"""Leases as documents of a database, each changed in one transaction."""

from __future__ import annotations

from contextlib import suppress

from anyio import to_thread

from argosy_core.clock import Clock
from argosy_core.errors import NotFound
from argosy_core.ids import Ids
from argosy_core.storage.document_leases import DocumentLeases, Step
from argosy_core.storage.sqlite.database import Database, Transaction
from argosy_core.storage.sqlite.files import SqliteFiles


class SqliteLeases(DocumentLeases):
    """`Leases` over a database."""

    def __init__(self, database: Database, files: SqliteFiles, clock: Clock, ids: Ids) -> None:
        super().__init__(clock, ids)
        self._database = database
        self._files = files

    async def _step(self, path: str, step: Step) -> None:
        def work(t: Transaction) -> None:
            data = step(self._files.content_in(t, path))
            if data is not None:
                self._files.replacing(path, data)(t)

        await self._database.submit(work)

    async def _read(self, path: str) -> bytes | None:
        with suppress(NotFound):
            return (await to_thread.run_sync(self._files.read, path)).data
        return None
