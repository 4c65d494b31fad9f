"""Putting documents into the index and taking them out, inside one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from argosy_core.index.documents import IndexedDocument, Stamp
from argosy_core.index.rows import Row, id_range, row_of
from argosy_core.index.statements import statement
from argosy_core.index.text import storable


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document ready to be written: the work that needs no transaction is done."""

    agent: str
    scope: str
    row: Row
    links: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Held:
    """What the index holds at a path."""

    id: int
    shelf: int
    digest: bytes
    stamp: Stamp


def prepare(document: IndexedDocument) -> Prepared:
    links = tuple(dict.fromkeys(map(storable, document.links)))
    return Prepared(document.agent, document.scope, row_of(document), links)


def write(
    connection: sqlite3.Connection,
    documents: Collection[Prepared],
    removed: Collection[str],
    expected: Mapping[str, Stamp] | None = None,
) -> None:
    """Put *documents* (one for each path) and drop the paths *removed*.

    With *expected*, a path is left as it is when the index holds another stamp for it (or any, where none is
    expected): somebody was faster and knows better. Texts are removed before any is added and both by rising id,
    because FTS5 flushes what it has pending whenever an id goes down.
    """
    paths = [*(str(document.row["path"]) for document in documents), *removed]
    held = {path: found for path in paths if (found := _held(connection, path))}
    if expected is not None:
        stamps = {path: found.stamp for path, found in held.items()}
        documents = [each for each in documents if _is_as(stamps, expected, str(each.row["path"]))]
        removed = [path for path in removed if _is_as(stamps, expected, path)]
    changed = [each for each in documents if not _touched(connection, each.row, held.get(str(each.row["path"])))]
    replaced = [held[path] for each in changed if (path := str(each.row["path"])) in held]
    _remove(connection, [*replaced, *(held[path] for path in removed if path in held)])
    _add(connection, changed)


def _is_as(stamps: Mapping[str, Stamp], expected: Mapping[str, Stamp], path: str) -> bool:
    return stamps.get(path) == expected.get(path)


def _held(connection: sqlite3.Connection, path: str) -> _Held | None:
    row = connection.execute(statement("held"), {"path": path}).fetchone()
    return _Held(row["id"], row["shelf"], row["digest"], (row["mtime_ns"], row["size"])) if row else None


def _touched(connection: sqlite3.Connection, row: Row, held: _Held | None) -> bool:
    """True when only what is beside the text differed; it is written then, and the text row stays."""
    if held is None or held.digest != row["digest"]:
        return False
    connection.execute(statement("touch_document"), {**row, "id": held.id})
    return True


def _remove(connection: sqlite3.Connection, gone: Collection[_Held]) -> None:
    agents: dict[int, int] = {}
    for held in sorted(gone, key=lambda held: held.id):
        if held.shelf not in agents:
            agents[held.shelf] = int(connection.execute(statement("owner"), {"shelf": held.shelf}).fetchone()[0])
        connection.execute(statement("remove_text", agents[held.shelf]), {"id": held.id})
        connection.execute(statement("remove_links"), {"id": held.id})
        connection.execute(statement("remove_document"), {"id": held.id})
    for shelf in agents:
        count = sum(held.shelf == shelf for held in gone)
        connection.execute(statement("count_up"), {"shelf": shelf, "ids": 0, "documents": -count})


def _add(connection: sqlite3.Connection, documents: Collection[Prepared]) -> None:
    """Visible before hidden and shelf by shelf, so that ids rise; each shelf's counters are written once."""
    shelves: dict[tuple[str, str], dict[str, Any]] = {}
    for agent, scope in {(each.agent, each.scope): None for each in documents}:
        shelves[agent, scope] = shelf_row(connection, agent, scope)
    order = sorted(documents, key=lambda each: (shelves[each.agent, each.scope]["shelf"], each.row["hidden"]))
    for each in order:
        shelf = shelves[each.agent, each.scope]
        number = id_range(shelf["shelf"], int(bool(each.row["hidden"])))[0] + shelf["next"]
        shelf["next"] += 1
        _add_one(connection, shelf, {**each.row, "id": number, "shelf": shelf["shelf"]}, each.links)
    for (agent, scope), shelf in shelves.items():
        count = sum((each.agent, each.scope) == (agent, scope) for each in documents)
        connection.execute(statement("count_up"), {"shelf": shelf["shelf"], "ids": count, "documents": count})


def _add_one(connection: sqlite3.Connection, shelf: Mapping[str, Any], row: Row, links: Collection[str]) -> None:
    connection.execute(statement("add_document"), row)
    connection.execute(statement("add_text", shelf["agent"]), row)
    if links:
        connection.executemany(statement("add_link"), [{"target": target, "id": row["id"]} for target in links])


def shelf_row(connection: sqlite3.Connection, agent: str, scope: str) -> dict[str, Any]:
    """Shelf, agent number and next id, made on first use."""
    row = connection.execute(statement("shelf"), {"agent": agent, "scope": scope}).fetchone()
    if row is None:
        number = _agent_number(connection, agent)
        row = connection.execute(statement("add_shelf"), {"agent": number, "scope": scope}).fetchone()
    return dict(row)


def _agent_number(connection: sqlite3.Connection, agent: str) -> int:
    row = connection.execute(statement("agent"), {"agent": agent}).fetchone()
    if row:
        return int(row["number"])
    number = int(connection.execute(statement("add_agent"), {"agent": agent}).fetchone()["number"])
    connection.execute(statement("create_fts", number))
    connection.execute(statement("set_merge", number))
    return number
