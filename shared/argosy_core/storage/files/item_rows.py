"""The rows of one queue in the projection: what every substrate keeps, and which files it was read from."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from argosy_core.named_sql import named_statements
from argosy_core.storage.files.item_folders import Stamp
from argosy_core.storage.item import Item, ItemState
from argosy_core.storage.item_order import Rows

_STATEMENTS = named_statements("argosy_core.storage.files", "item_queries.sql")


class FileRows(Rows):
    """`Rows` with the stamps of files and the seals of folders."""

    def put_file(self, item: Item, stamp: Stamp) -> None:
        """Make the row of *item* what its file says."""
        self.put(item, self.row(item.id), mtime_ns=stamp[0], size=stamp[1])

    def _store(self, item: Item, before: sqlite3.Row | None, stored: Mapping[str, Any]) -> None:
        self._ask("put_item", **self.fields(item), **stored)

    def _ask(self, name: str, **values: Any) -> sqlite3.Cursor:
        return self._connection.execute(_STATEMENTS[name], {"queue": self._queue, **values})

    def stamps(self, state: ItemState) -> dict[str, Stamp]:
        """The items known to be in *state*, with the stamps of their files."""
        return {row["id"]: (row["mtime_ns"], row["size"]) for row in self._ask("in_state", state=state)}

    def seals(self) -> dict[str, int]:
        return {row["state"]: row["seal"] for row in self._ask("seals")}

    def set_seal(self, state: ItemState, seal: int) -> None:
        self._ask("set_seal", state=state, seal=seal)
