"""Putting documents into the index's tables and taking them out, inside one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from argosy_core.index.documents import IndexedDocument, Stamp
from argosy_core.index.postgres.lexemes import vector
from argosy_core.index.rows import row_of
from argosy_core.index.text import storable
from argosy_core.storage.postgres.database import Session

MOST_LINK_BYTES = 2_400
"""No path is longer in this store, so a longer link finds nothing."""
_FIELDS = (("A", "fts_title"), ("B", "fts_description"), ("C", "fts_tags"), ("D", "fts_body"))
_TOUCHED = ("pinned", "day_number", "mtime_ns", "size", "expires", "day", "extra")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document ready to be written."""

    agent: str
    scope: str
    row: Mapping[str, Any]
    links: Sequence[str]


def clean(text: str) -> str:
    """*text* as PostgreSQL can hold it: no lone surrogates, no U+0000."""
    return storable(text).replace("\0", "\ufffd")


def prepare(document: IndexedDocument) -> Prepared:
    """Everything that needs no database. Raises InvalidArgument for a path that UTF-8 cannot hold."""
    row = row_of(document)
    words, is_long = vector([(weight, str(row[name])) for weight, name in _FIELDS])
    values = {name: clean(value) if isinstance(value, str) else value for name, value in row.items()}
    values |= {"body": clean(document.body), "words": words, "is_long": is_long}
    links = [link for link in dict.fromkeys(map(clean, document.links)) if len(link.encode()) <= MOST_LINK_BYTES]
    return Prepared(clean(document.agent), clean(document.scope), values, links)


async def write(
    session: Session,
    documents: Sequence[Prepared],
    removed: Collection[str],
    expected: Mapping[str, Stamp] | None = None,
) -> None:
    """Put *documents* (one for each path) and drop *removed*; with *expected*, only where its stamps still stand."""
    paths = [*(each.row["path"] for each in documents), *map(clean, removed)]
    held = {row["path"]: row for row in await session.rows("held", paths=paths)}
    gone = [clean(path) for path in removed if clean(path) in held]
    if expected is not None:
        stamps = {path: (row["mtime_ns"], row["size"]) for path, row in held.items()}
        documents = [each for each in documents if stamps.get(each.row["path"]) == expected.get(each.row["path"])]
        gone = [path for path in gone if stamps.get(path) == expected.get(path)]
    changed = list[Prepared]()
    for each in documents:
        known = held.get(each.row["path"])
        if known is None or known["digest"] != each.row["digest"]:
            changed.append(each)
        else:
            await session.rows("touch", id=known["id"], **{name: each.row[name] for name in _TOUCHED})
    replaced = [each.row["path"] for each in changed if each.row["path"] in held]
    await _remove(session, [held[path]["id"] for path in {*replaced, *gone}])
    await _add(session, changed)


async def shelf_number(session: Session, agent: str, scope: str) -> int:
    """The shelf, made on first use."""
    row = await session.row("add_shelf", agent=agent, scope=scope)
    return int(row["shelf"]) if row is not None else 0


async def _remove(session: Session, ids: Sequence[int]) -> None:
    if ids:
        for row in await session.rows("remove", ids=ids):
            await session.rows("count_up", shelf=row["shelf"], count=-row["count"])


async def _add(session: Session, documents: Sequence[Prepared]) -> None:
    added = Counter((each.agent, each.scope) for each in documents)
    shelves = {place: await shelf_number(session, *place) for place in added}
    for each in documents:
        row = await session.row("add", shelf=shelves[each.agent, each.scope], **each.row)
        if each.links and row is not None:
            await session.rows("add_links", id=row["id"], targets=each.links)
    for place, count in added.items():
        await session.rows("count_up", shelf=shelves[place], count=count)
