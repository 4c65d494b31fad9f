"""A vault in a database as the files that it would be on a disk."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from anyio import to_thread

from argosy_core.clock import Clock
from argosy_core.errors import NotFound
from argosy_core.names import check_path
from argosy_core.storage.base import ABSENT, LEFT_OUT
from argosy_core.storage.chain_days import is_day_path
from argosy_core.storage.item_record import item_path, place_of_path
from argosy_core.storage.sqlite.database import Database, Transaction
from argosy_core.storage.sqlite.files import SqliteFiles, time_ns
from argosy_core.storage.sqlite.item_rows import SqliteRows, TransactionQueue, file_of
from argosy_core.storage.sqlite.log_rows import StreamRows


class SqliteArchive:
    """`Archive` over a database: a path says whether a file is a day of a log, an item or a document."""

    def __init__(self, database: Database, files: SqliteFiles, clock: Clock) -> None:
        self._database = database
        self._files = files
        self._clock = clock

    async def paths(self) -> Sequence[str]:
        return await to_thread.run_sync(self._database.read, self._paths)

    def _paths(self, t: Transaction) -> Sequence[str]:
        files = (str(row["path"]) for row in t.run("all_paths"))
        items = (item_path(row["queue"], row["state"], row["id"]) for row in t.run("item_places"))
        return sorted([*(path for path in files if path.partition("/")[0] not in LEFT_OUT), *items])

    async def read(self, path: str) -> bytes:
        return await to_thread.run_sync(self._read, path)

    def _read(self, path: str) -> bytes:
        place = place_of_path(path)
        if place is None:
            return self._files.read(path, sys.maxsize).data
        queue, state, id = place

        def read(t: Transaction) -> bytes:
            row = SqliteRows(t, queue, self._clock.now()).row(id)
            if row is None or row["state"] != state:
                raise NotFound(f"there is no {path}", path=path)
            return file_of(row)

        return self._database.read(read)

    async def write(self, path: str, data: bytes) -> None:
        await to_thread.run_sync(self._write, path, data)

    def _write(self, path: str, data: bytes) -> None:
        stream, *_ = check_path(path)
        place = place_of_path(path)
        if is_day_path(path):
            now_ns = time_ns(self._clock.now())
            self._database.write(lambda t: StreamRows(t, stream).put_day(path, data, now_ns))
        elif place is not None:
            queue, state, id = place
            self._database.write(lambda t: TransactionQueue(t, queue, self._clock).put_file(state, id, data))
        else:
            self._files.replace(path, data, expect=ABSENT, max_bytes=sys.maxsize)
