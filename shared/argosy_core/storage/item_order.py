"""Who is next: the rows of a queue in a table that SQLite keeps, inside the caller's transaction.

A claim touches no more rows with many items waiting than with few: what cannot be had now is on another lane, and an
item that meets a held conflict key is parked once and looked at again when its turn at that key has come.
"""

from __future__ import annotations

import json
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from argosy_core.canonical import canonical_json
from argosy_core.named_sql import named_statements
from argosy_core.storage.item import Item, ItemState

_STATEMENTS = named_statements("argosy_core.storage", "item_queries.sql")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item stands."""

    id: str
    state: ItemState


class Rows(ABC):
    """The rows of *queue* on *connection*; *now* decides which lane an item is on."""

    def __init__(self, connection: sqlite3.Connection, queue: str, now: datetime) -> None:
        self._connection = connection
        self._queue = queue
        self._now = now.timestamp()

    def _run(self, name: str, **values: Any) -> sqlite3.Cursor:
        return self._connection.execute(_STATEMENTS[name], {"queue": self._queue, **values})

    # Keeping

    def row(self, id: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._run("item", id=id).fetchone()
        return row

    def next_seq(self) -> int:
        return int(self._run("last_seq").fetchone()[0]) + 1

    @abstractmethod
    def _store(self, item: Item, before: sqlite3.Row | None, stored: Mapping[str, Any]) -> None:
        """Make the row of *item*, which was *before*; what a substrate adds of its own is in *stored*."""

    def put(self, item: Item, before: sqlite3.Row | None, **stored: Any) -> None:
        """Make the row of *item*, which was *before*, what it is now, and let those go on that waited for a key it
        held."""
        self._store(item, before, stored)
        held: list[str] = json.loads(before["keys"]) if before is not None and before["keys"] != "[]" else []
        if held:
            self._run("free_keys", id=item.id)
        for key in item.conflict_keys if item.state == "leased" else ():
            self._run("hold_key", key=key, id=item.id)
        if item.conflict_keys and self.lane(item) == 1:
            self._park(item.id, item.conflict_keys)
        self._wake(held)

    def drop(self, id: str) -> None:
        """Forget an item that is gone."""
        before = self.row(id)
        self._run("drop_item", id=id)
        if before is not None:
            self.free(id, json.loads(before["keys"]))

    def free(self, id: str, keys: Sequence[str]) -> None:
        """Let others have the conflict *keys* of an item that does not hold them any more."""
        self._run("free_keys", id=id)
        self._wake(keys)

    def fields(self, item: Item) -> dict[str, Any]:
        """What every substrate keeps of *item* in its columns."""
        return {
            **self.changing(item),
            "seq": item.seq,
            "needs": canonical_json(item.needs).decode(),
            "keys": json.dumps(item.conflict_keys, ensure_ascii=False),
            "creator": item.creator,
            "created": item.created_at.timestamp() if item.created_at else 0.0,
            "expires": _seconds(item.expires_at),
            "problem": item.problem,
        }

    def changing(self, item: Item) -> dict[str, Any]:
        """Those of the columns that the rules of items ever change, and the id."""
        return {
            "id": item.id,
            "state": item.state,
            "revision": item.revision,
            "priority": item.priority,
            "lane": self.lane(item),
            "wake": _seconds(item.not_before),
            "lease_end": _lease_end(item),
        }

    def lane(self, item: Item) -> int:
        """The lane of *item* as long as no conflict key is in its way."""
        if item.problem is not None or item.state not in ("ready", "failed"):
            return 0
        return 2 if (_seconds(item.not_before) or 0.0) > self._now else 1

    # Choosing

    def choose(self, count: int, fits: Callable[[Mapping[str, Any]], bool]) -> list[Place]:
        """Up to *count* claimable items that *fits* takes, the next one first."""
        self._run("wake_timed", now=self._now)
        shapes = [row["needs"] for row in self._run("all_needs").fetchall() if fits(json.loads(row["needs"]))]
        chosen: list[Place] = []
        taken: set[str] = set()
        while len(chosen) < count and (head := self._head(shapes)) is not None:
            keys: list[str] = json.loads(head["keys"])
            if self._park(head["id"], keys, taken):
                continue
            taken.update(keys)
            chosen.append(Place(head["id"], head["state"]))
            if len(chosen) < count:
                self._run("set_lane", id=head["id"], lane=0)
        for place in chosen[: count - 1]:  # only for the choice: what makes them leased is a change of the items
            self._run("set_lane", id=place.id, lane=1)
        return chosen

    def _park(self, id: str, keys: Sequence[str], taken: Collection[str] = ()) -> bool:
        """Set an item aside when one of its keys is held; its other keys are then the next one's to have."""
        blocked = next((key for key in keys if key in taken or self.holder(key) not in (None, id)), None)
        if blocked is None:
            return False
        self._run("park", id=id, key=blocked)
        self._wake([key for key in keys if key != blocked and key not in taken])
        return True

    def _head(self, shapes: Sequence[str]) -> sqlite3.Row | None:
        heads = [row for needs in shapes if (row := self._run("head", needs=needs).fetchone()) is not None]
        return min(heads, key=lambda row: (-row["priority"], row["seq"]), default=None)

    def _wake(self, keys: Sequence[str]) -> None:
        for key in keys:
            if self.holder(key) is None:
                self._run("wake_parked", key=key)

    def holder(self, key: str) -> str | None:
        """The leased item that holds *key*."""
        row = self._run("holder", key=key).fetchone()
        return str(row["id"]) if row else None

    # Asking

    def abandoned(self, count: int) -> list[Place]:
        return self._places("abandoned", now=self._now, count=count)

    def expired(self, count: int) -> list[Place]:
        return self._places("expired", now=self._now, count=count)

    def waiting(self, count: int) -> list[Place]:
        return self._places("waiting", count=count)

    def _places(self, name: str, **values: Any) -> list[Place]:
        return [Place(row["id"], row["state"]) for row in self._run(name, **values)]

    def ahead(self, item: Item) -> int:
        """How many claimable items come before *item*."""
        return int(self._run("ahead", priority=item.priority, seq=item.seq).fetchone()[0])

    def broken(self) -> list[sqlite3.Row]:
        return self._run("broken").fetchall()


def _lease_end(item: Item) -> float | None:
    if item.state != "leased" or item.problem is not None:
        return None
    return item.lease.expires_at.timestamp() if item.lease else 0.0


def _seconds(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment is not None else None
