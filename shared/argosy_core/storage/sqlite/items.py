"""Items in a database: a call is a transaction, and calls that arrive together share one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError
from argosy_core.ids import Ids
from argosy_core.named_sql import named_statements
from argosy_core.storage.gathering import Pending
from argosy_core.storage.item import Item
from argosy_core.storage.item_calls import ItemCalls
from argosy_core.storage.item_record import given_item
from argosy_core.storage.item_session import ItemSession, OpenQueue
from argosy_core.storage.sqlite.database import Database, Transaction
from argosy_core.storage.sqlite.item_rows import TransactionQueue, item_of

T = TypeVar("T")
_STATEMENTS = named_statements("argosy_core.storage", "item_queries.sql")


class SqliteItems(ItemCalls):
    """`Items` over a database."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        super().__init__(clock, ids)
        self._database = database

    async def _run(self, work: Callable[[ItemSession], T]) -> T:
        def job(t: Transaction) -> tuple[Sequence[Item], Pending[T]]:
            session, outcome = _TransactionSession(t, self._clock, self._ids), Pending[T]()
            try:
                outcome.finish(work(session))
            except ArgosyError as error:  # a call that is refused has changed nothing, but what time did is put right
                outcome.fail(error)
            return session.settled, outcome

        settled, outcome = await self._database.submit(job)
        self._settled += settled
        return outcome.result()


class _TransactionSession(ItemSession):
    """`ItemSession` within a transaction."""

    def __init__(self, t: Transaction, clock: Clock, ids: Ids) -> None:
        super().__init__(clock, ids)
        self._t = t

    def queue(self, name: str) -> AbstractContextManager[OpenQueue]:
        return nullcontext(TransactionQueue(self._t, name, self._clock))

    def names(self) -> Sequence[str]:
        return [row["queue"] for row in self._t.run("queues")]

    def likely(self, item: str) -> Sequence[str]:
        return [row["queue"] for row in self.rows_of("queue_of", {"id": item})]

    def rows_of(self, name: str, values: Mapping[str, Any]) -> Sequence[sqlite3.Row]:
        return self._t.connection.execute(_STATEMENTS[name], values).fetchall()

    def load(self, row: sqlite3.Row) -> Item | None:
        [found] = self.rows_of("item", {"queue": row["queue"], "id": row["id"]})
        if found["problem"] is not None:
            return given_item(found["queue"], found["state"], found["id"], found["record"])
        return item_of(found)
