"""Who is next: the rows of a queue in the projection, inside the caller's transaction.

A claim touches no more rows with many items waiting than with few: what cannot be had now is on another lane, and an
item that meets a held conflict key is parked once and looked at again when its turn at that key has come.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from argosy_core.canonical import canonical_json
from argosy_core.storage.files.item_folders import Stamp
from argosy_core.storage.files.item_projection import statement
from argosy_core.storage.item import Item, ItemState


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item stands."""

    id: str
    state: ItemState


class Rows:
    """The rows of *queue* on *connection*; *now* decides which lane an item is on."""

    def __init__(self, connection: sqlite3.Connection, queue: str, now: datetime) -> None:
        self._connection = connection
        self._queue = queue
        self._now = now.timestamp()

    def _run(self, name: str, **values: Any) -> sqlite3.Cursor:
        return self._connection.execute(statement(name), {"queue": self._queue, **values})

    # Keeping

    def row(self, id: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._run("item", id=id).fetchone()
        return row

    def next_seq(self) -> int:
        return int(self._run("last_seq").fetchone()[0]) + 1

    def put(self, item: Item, stamp: Stamp) -> None:
        """Make the row of *item* what its file says, and let those go on that waited for a key it held."""
        before = self.row(item.id)
        self._run("put_item", **self._fields(item, stamp))
        self._run("free_keys", id=item.id)
        for key in item.conflict_keys if item.state == "leased" else ():
            self._run("hold_key", key=key, id=item.id)
        if item.conflict_keys and self._lane(item) == 1:
            self._park(item.id, item.conflict_keys)
        if before is not None:
            self._wake(json.loads(before["keys"]))

    def drop(self, id: str) -> None:
        """Forget an item whose file is gone."""
        before = self.row(id)
        self._run("drop_item", id=id)
        self._run("free_keys", id=id)
        if before is not None:
            self._wake(json.loads(before["keys"]))

    def _fields(self, item: Item, stamp: Stamp) -> dict[str, Any]:
        return {
            "id": item.id,
            "state": item.state,
            "revision": item.revision,
            "seq": item.seq,
            "priority": item.priority,
            "needs": canonical_json(item.needs).decode(),
            "keys": json.dumps(item.conflict_keys, ensure_ascii=False),
            "lane": self._lane(item),
            "creator": item.creator,
            "created": item.created_at.timestamp() if item.created_at else 0.0,
            "wake": _seconds(item.not_before),
            "expires": _seconds(item.expires_at),
            "lease_end": _lease_end(item),
            "mtime_ns": stamp[0],
            "size": stamp[1],
            "problem": item.problem,
        }

    def _lane(self, item: Item) -> int:
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
            self._run("set_lane", id=head["id"], lane=0)
            chosen.append(Place(head["id"], head["state"]))
        for place in chosen:  # only for the choice: what makes them leased is their files
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

    def stamps(self, state: ItemState) -> dict[str, Stamp]:
        """The items known to be in *state*, with the stamps of their files."""
        return {row["id"]: (row["mtime_ns"], row["size"]) for row in self._run("in_state", state=state)}

    def seals(self) -> dict[str, int]:
        return {row["state"]: row["seal"] for row in self._run("seals")}

    def set_seal(self, state: ItemState, seal: int) -> None:
        self._run("set_seal", state=state, seal=seal)


def _lease_end(item: Item) -> float | None:
    if item.state != "leased" or item.problem is not None:
        return None
    return item.lease.expires_at.timestamp() if item.lease else 0.0


def _seconds(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment is not None else None
