"""A vault in tables as the files that it would be on a disk."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from argosy_core.clock import Clock
from argosy_core.errors import AlreadyExists, NotFound
from argosy_core.names import check_path
from argosy_core.storage.base import ABSENT, LEFT_OUT
from argosy_core.storage.chain_days import is_day_path
from argosy_core.storage.item import ItemState
from argosy_core.storage.item_record import given_item, item_path, place_of_path
from argosy_core.storage.postgres import chain_stream, documents, item_batches
from argosy_core.storage.postgres.database import Database, Session, time_ns
from argosy_core.storage.postgres.documents import DocumentTable
from argosy_core.storage.postgres.item_rows import QueueRows, file_of


class PostgresArchive:
    """`Archive` over a database: a path says whether a file is a day of a log, an item or a document."""

    def __init__(self, database: Database, table: DocumentTable, clock: Clock) -> None:
        self._database = database
        self._table = table
        self._clock = clock

    async def paths(self) -> Sequence[str]:
        async def look(session: Session, _: bool) -> Sequence[str]:
            files = [row["path"] for row in await session.rows("all_paths")]
            places = await session.of(item_batches.FILE).rows("all_places")
            items = [item_path(row["queue"], row["state"], row["id"]) for row in places]
            return sorted([*(path for path in files if path.partition("/")[0] not in LEFT_OUT), *items])

        return await self._database.call(documents.FILE, look)

    async def read(self, path: str) -> bytes:
        place = place_of_path(path)
        if place is None:
            return (await self._database.call(documents.FILE, self._table.read(path, sys.maxsize))).data
        queue, state, id = place

        async def read(session: Session, _: bool) -> bytes:
            row = await session.row("at", queue=queue, state=state, id=id)
            if row is None:
                raise NotFound(f"there is no {path}", path=path)
            return file_of(row)

        return await self._database.call(item_batches.FILE, read)

    async def write(self, path: str, data: bytes) -> None:
        check_path(path)
        place = place_of_path(path)
        if is_day_path(path):
            now_ns = time_ns(self._clock.now())

            async def put(session: Session, _: bool) -> None:
                await chain_stream.put_day(session, path, data, now_ns)

            await self._database.call(chain_stream.FILE, put)
        elif place is not None:
            await self._write_item(path, *place, data)
        else:
            work = self._table.write(path, data, ABSENT, keep_version=False, max_bytes=sys.maxsize)
            await self._database.call(documents.FILE, work)

    async def _write_item(self, path: str, queue: str, state: ItemState, id: str, data: bytes) -> None:
        item = given_item(queue, state, id, data)

        async def put(session: Session, again: bool) -> None:
            async with session.transaction():
                rows = QueueRows(session, queue, self._clock.now())
                await rows.lock()
                if (row := await rows.row(id)) is not None:
                    if again and bytes(row["record"]) == data:
                        return
                    raise AlreadyExists(f"{path} exists", hint="each item is in one place", path=path)
                if item.seq:
                    await session.rows("reserve_seq", seq=item.seq)
                await rows.put(item, data)

        await self._database.call(item_batches.FILE, put)
