"""Pages of items, newest first, in the order of the rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from argosy_core.errors import InvalidArgument
from argosy_core.storage.item import Item, ItemState

PAGE_END = json.dumps([1e18, ""])


def page(
    rows_of: Callable[[str, Mapping[str, Any]], Sequence[sqlite3.Row]],
    load: Callable[[sqlite3.Row], Item | None],
    queue: str | None,
    state: ItemState | None,
    creator: str | None,
    limit: int,
    cursor: str,
) -> tuple[Sequence[Item], str | None]:
    """Up to *limit* items after *cursor*, and the cursor of the next page; *rows_of* runs a named statement."""
    created, id = _position(cursor)
    values = {"queue": queue, "state": state, "creator": creator, "created": created, "id": id, "count": limit + 1}
    rows = rows_of(_query(queue, state, creator), values)
    items = [load(row) for row in rows[:limit]]
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
