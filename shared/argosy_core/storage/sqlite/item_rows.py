"""Items as rows: the record is the item, the columns what is asked for."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from argosy_core.clock import Clock
from argosy_core.errors import AlreadyExists, Corrupted
from argosy_core.storage.item import Item, ItemState
from argosy_core.storage.item_order import Place, Rows
from argosy_core.storage.item_record import given_item, item_path, line_of, read_item, text_of, unreadable
from argosy_core.storage.item_session import Change, OpenQueue
from argosy_core.storage.sqlite.database import Transaction

T = TypeVar("T")


class SqliteRows(Rows):
    """`Rows` of items that are nowhere else."""

    def __init__(self, t: Transaction, queue: str, now: datetime) -> None:
        super().__init__(t.connection, queue, now)
        self._t = t

    def _store(self, item: Item, before: sqlite3.Row | None, stored: Mapping[str, Any]) -> None:
        if before is None:
            self._t.run("new_item", queue=self._queue, **self.fields(item), **stored)
        else:
            self._t.run("change_item", queue=self._queue, **self.changing(item), **stored)


class TransactionQueue(OpenQueue):
    """A queue within a transaction: nobody else writes until that ends."""

    def __init__(self, t: Transaction, name: str, clock: Clock) -> None:
        super().__init__(name, clock)
        self._t = t
        self._rows = SqliteRows(t, name, clock.now())
        self._read: dict[str, sqlite3.Row] = {}  # rows that were read and not changed since

    def ask(self, question: Callable[[Rows], T]) -> T:
        return question(self._rows)

    def change(self, changes: Sequence[Change]) -> None:
        for state, item in changes:
            before = self._read.pop(item.id, None) or (self._rows.row(item.id) if state is not None else None)
            self._rows.put(item, before, record=line_of(item), is_given=0)
            self._t.changed.append(item_path(self.name, item.state, item.id))
            if state is not None and state != item.state:
                self._t.changed.append(item_path(self.name, state, item.id))

    def find(self, id: str) -> Item | None:
        row = self._rows.row(id)
        if row is None:
            return None
        self._read[id] = row
        return item_of(row)

    def find_made(self, id: str) -> Item | None:
        return self.find(id)

    def read(self, place: Place) -> Item | None:
        try:
            return self.find(place.id)
        except Corrupted as error:
            self._set_aside(place.id, error.message)
            return None

    def _set_aside(self, id: str, problem: str) -> None:
        """Let nobody meet an item again that cannot be read."""
        row = self._read.pop(id)
        self._t.run("set_problem", queue=self.name, id=id, problem=problem)
        self._rows.free(id, json.loads(row["keys"]))

    def refresh(self, item: Item) -> None:
        row = self._rows.row(item.id)
        if row is not None:
            self._rows.put(item, row, record=row["record"], is_given=row["is_given"])

    def problems(self) -> Sequence[Item]:
        for row in self._t.run("no_json", queue=self.name).fetchall():
            self.read(Place(row["id"], row["state"]))
        return [unreadable(self.name, row["state"], row["id"], row["problem"]) for row in self._rows.broken()]

    def put_file(self, state: ItemState, id: str, data: bytes) -> None:
        """Take in the file of an item. Of two files of one item, which a crash may leave, the newer counts.

        Raises AlreadyExists when the item is there in this state.
        """
        rows, now = self._rows, self._clock.now()
        item = given_item(self.name, state, id, data)
        row = rows.row(id)
        if row is not None and row["state"] == state:
            path = item_path(self.name, state, id)
            raise AlreadyExists(f"{path} exists", hint="put items only into a vault without them", path=path)
        if row is not None and row["revision"] >= item.revision:
            return
        if row is not None:
            rows.drop(id)
        item = replace(item, seq=item.seq or rows.next_seq(), created_at=item.created_at or now)
        rows.put(item, None, record=data, is_given=1)
        self._t.changed.append(item_path(self.name, state, id))


def item_of(row: sqlite3.Row) -> Item:
    """The item that *row* keeps. Raises Corrupted."""
    is_ours = not row["is_given"]
    item = read_item(row["queue"], row["state"], row["id"], row["record"], is_checked=is_ours)
    if item.seq:
        return item
    created = datetime.fromtimestamp(row["created"], UTC)
    return replace(item, seq=row["seq"], created_at=item.created_at or created)


def file_of(row: sqlite3.Row) -> bytes:
    """The file that *row* stands for."""
    return bytes(row["record"]) if row["is_given"] else text_of(item_of(row))
