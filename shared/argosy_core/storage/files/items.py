"""Items as JSON files, ``_fleet/queue/<queue>/<state>/<item>.json``: these are the truth, their order a projection."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from anyio import to_thread

from argosy_core.clock import Clock
from argosy_core.errors import Corrupted, NotFound
from argosy_core.ids import Ids
from argosy_core.named_sql import named_statements
from argosy_core.storage.files.item_projection import Projection
from argosy_core.storage.files.item_queue import LockedQueue
from argosy_core.storage.item import Item
from argosy_core.storage.item_calls import ItemCalls
from argosy_core.storage.item_record import ROOT, item_path, read_item, unreadable
from argosy_core.storage.item_session import ItemSession, OpenQueue
from argosy_core.vault import Vault

T = TypeVar("T")
TRIES = 3  # an item may move between the look at its row and the look at its file
_STATEMENTS = named_statements("argosy_core.storage", "item_queries.sql")


class FileItems(ItemCalls):
    """`Items` over a vault; every call is one hop to a worker thread."""

    def __init__(self, vault: Vault, clock: Clock, ids: Ids) -> None:
        super().__init__(clock, ids)
        self._vault = vault
        self._projection = Projection(vault)

    def close(self) -> None:
        """Let go of the projection's file."""
        self._projection.close()

    async def _run(self, work: Callable[[ItemSession], T]) -> T:
        return await to_thread.run_sync(self._run_here, work)

    def _run_here(self, work: Callable[[ItemSession], T]) -> T:
        session = _FileSession(self._vault, self._projection, self._clock, self._ids)
        try:
            return work(session)
        finally:
            self._settled += session.settled


class _FileSession(ItemSession):
    """`ItemSession` over a vault: a queue is held by its lock."""

    def __init__(self, vault: Vault, projection: Projection, clock: Clock, ids: Ids) -> None:
        super().__init__(clock, ids)
        self._vault = vault
        self._projection = projection

    def queue(self, name: str) -> AbstractContextManager[OpenQueue]:
        return LockedQueue(self._vault, self._projection, self._clock, self._ids, name).locked()

    def names(self) -> Sequence[str]:
        return self._vault.folders(ROOT)

    def rows_of(self, name: str, values: Mapping[str, Any]) -> Sequence[sqlite3.Row]:
        return self._projection.read(lambda connection: connection.execute(_STATEMENTS[name], values).fetchall())

    def load(self, row: sqlite3.Row) -> Item | None:
        queue, id, state = row["queue"], row["id"], row["state"]
        for _ in range(TRIES):
            try:
                return read_item(queue, state, id, self._vault.read(item_path(queue, state, id)).data)
            except Corrupted as error:
                return unreadable(queue, state, id, error.message)
            except NotFound:
                [*found] = self.rows_of("item", {"queue": queue, "id": id})
                if not found:
                    return None
                state = found[0]["state"]
        return None
