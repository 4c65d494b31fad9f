"""Pages of items, newest first, in the order of the projection and with the content of the files."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from argosy_core.errors import Corrupted, InvalidArgument, NotFound
from argosy_core.storage.files.item_folders import ROOT, SUFFIX
from argosy_core.storage.files.item_projection import Projection, statement
from argosy_core.storage.item import Item, ItemState
from argosy_core.storage.item_record import read_item, unreadable
from argosy_core.vault import Vault

PAGE_END = json.dumps([1e18, ""])
TRIES = 3  # an item may move between the look at its row and the look at its file


def page(
    vault: Vault,
    projection: Projection,
    queue: str | None,
    state: ItemState | None,
    creator: str | None,
    limit: int,
    cursor: str,
) -> tuple[Sequence[Item], str | None]:
    """Up to *limit* items after *cursor*, and the cursor of the next page."""
    created, id = _position(cursor)
    values = {"queue": queue, "state": state, "creator": creator, "created": created, "id": id, "count": limit + 1}
    name = _query(queue, state, creator)
    rows = projection.read(lambda connection: connection.execute(statement(name), values).fetchall())
    items = [_load(vault, projection, row) for row in rows[:limit]]
    following = json.dumps([rows[limit - 1]["created"], rows[limit - 1]["id"]]) if len(rows) > limit else None
    return [item for item in items if item is not None], following


def _query(queue: str | None, state: ItemState | None, creator: str | None) -> str:
    if queue is not None:
        return "page_of_queue" if state is None else "page_of_state"
    return "page" if creator is None else "page_of_creator"


def _position(cursor: str) -> tuple[float, str]:
    try:
        created, id = json.loads(cursor)
        return float(created), str(id)
    except (ValueError, TypeError) as exc:
        raise InvalidArgument("not a cursor of this list", hint="pass the cursor unchanged, or leave it out") from exc


def _load(vault: Vault, projection: Projection, row: sqlite3.Row) -> Item | None:
    queue, id, state = row["queue"], row["id"], row["state"]
    for _ in range(TRIES):
        try:
            return read_item(queue, state, id, vault.read(f"{ROOT}/{queue}/{state}/{id}{SUFFIX}").data)
        except Corrupted as error:
            return unreadable(queue, state, id, error.message)
        except NotFound:
            state = _state(projection, queue, id)
            if state is None:
                return None
    return None


def _state(projection: Projection, queue: str, id: str) -> ItemState | None:
    values = {"queue": queue, "id": id}
    row = projection.read(lambda connection: connection.execute(statement("item"), values).fetchone())
    return row["state"] if row is not None else None
