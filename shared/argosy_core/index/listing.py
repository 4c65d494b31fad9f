"""Pages of documents, newest day first, on one connection."""

from __future__ import annotations

import base64
import binascii
import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from argosy_core.errors import InvalidArgument
from argosy_core.index.documents import Page
from argosy_core.index.rows import entry_of, joined
from argosy_core.index.statements import statement

_AFTER_ALL_DAYS = "\U0010ffff"
_AFTER_ALL_PATHS = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class ListRequest:
    """The arguments of one page. *pinned* and *hidden* of None mean either."""

    agent: str
    scope: str
    types: Collection[str]
    tags: Collection[str]
    pinned: bool | None
    hidden: bool | None
    before_day: str | None
    limit: int
    cursor: str | None


def page(connection: sqlite3.Connection, request: ListRequest) -> Page:
    """One page. The place it goes on from is a value, not a count, so changes in between neither skip nor repeat."""
    day, path = start_of(request)
    shelf = connection.execute(statement("shelf"), {"agent": request.agent, "scope": request.scope}).fetchone()
    if shelf is None or request.limit < 1:
        return Page((), None)
    arguments = {
        "shelf": shelf["shelf"],
        "day": day,
        "path": path,
        "pinned": request.pinned,
        "hidden": request.hidden,
        "types": joined(request.types),
        "tags": json.dumps(list(request.tags)),
        "limit": request.limit + 1,
    }
    rows = connection.execute(statement("list_pinned" if request.pinned else "list"), arguments).fetchall()
    return page_of(rows, request)


def page_of(rows: Sequence[Any], request: ListRequest) -> Page:
    """*rows*, one more than fit when there is another page, as a page."""
    items = tuple(entry_of(row, request.agent, request.scope) for row in rows[: request.limit])
    has_more = len(rows) > request.limit
    return Page(items, _cursor(items[-1].day, items[-1].path) if has_more else None)


def start_of(request: ListRequest) -> tuple[str, str]:
    """The day and the path after which the page begins."""
    if request.cursor is not None:
        return _place(request.cursor)
    if request.before_day is not None:
        return request.before_day, _AFTER_ALL_PATHS
    return _AFTER_ALL_DAYS, ""


def _cursor(day: str, path: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([day, path]).encode()).decode()


def _place(cursor: str) -> tuple[str, str]:
    try:
        day, path = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, binascii.Error):
        day = path = None
    if not isinstance(day, str) or not isinstance(path, str):
        raise InvalidArgument("not a cursor of this listing", hint="leave the cursor out to begin again")
    return day, path
