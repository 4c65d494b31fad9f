"""Leases as documents, each step under the lock of its row."""

from __future__ import annotations

from argosy_core.clock import Clock
from argosy_core.ids import Ids
from argosy_core.storage.document_leases import DocumentLeases, Step
from argosy_core.storage.postgres.database import Database
from argosy_core.storage.postgres.documents import FILE, DocumentTable


class PostgresLeases(DocumentLeases):
    """`Leases` over a database."""

    def __init__(self, database: Database, table: DocumentTable, clock: Clock, ids: Ids) -> None:
        super().__init__(clock, ids)
        self._database = database
        self._table = table

    async def _step(self, path: str, step: Step) -> None:
        await self._database.call(FILE, self._table.step(path, step))

    async def _read(self, path: str) -> bytes | None:
        return await self._database.call(FILE, self._table.data(path))
