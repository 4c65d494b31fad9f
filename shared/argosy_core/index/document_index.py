"""The index as its owners see it."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from argosy_core.index.database import Database
from argosy_core.index.documents import Entry, IndexedDocument, Page, SearchResult, Stamp, summed
from argosy_core.index.listing import ListRequest, page
from argosy_core.index.rows import HIDDEN, VISIBLE, document_of, entry_of, id_range
from argosy_core.index.search import Request, search
from argosy_core.index.stages import Frequencies
from argosy_core.index.statements import statement
from argosy_core.index.store import prepare, shelf_row, write
from argosy_core.index.tidy import tidy
from argosy_core.index.vectors import Vectors

if TYPE_CHECKING:
    from argosy_core.clock import Clock


class DocumentIndex:
    """A search index of documents in one SQLite file, which many processes and threads may use at once.

    Nothing in it is truth: the file can be deleted at any time. It is then made anew, empty, and `generation` changes,
    which tells an owner to bring its documents in again (`reconcile`). Every method blocks on the disk, so servers
    call them from worker threads. Raises Unavailable when the file cannot be had within five seconds.
    """

    def __init__(self, database: Path, *, clock: Clock) -> None:
        self._database = Database(database, clock)
        self._clock = clock
        self._frequencies = Frequencies()
        self.vectors = Vectors(self._database)

    @property
    def generation(self) -> str:
        """Names the life of the file. An owner that sees another value than last time has an empty index."""
        return self._database.generation()

    def needs_rebuild(self, agent: str, scope: str) -> bool:
        """True until a whole listing of *scope* was brought in and marked with `mark_filled`."""
        return not any(row["filled"] for row in self._shelves(agent) if row["scope"] == scope)

    def mark_filled(self, agent: str, scope: str) -> None:
        """Say that every document of *scope* has been brought in."""
        self._database.write(lambda connection: _mark_filled(connection, agent, scope))

    def put(self, *documents: IndexedDocument) -> None:
        """Add *documents* or replace what the index holds at their paths, all in one transaction; a later one of the
        same path wins."""
        self.apply(documents)

    def remove(self, *paths: str) -> None:
        """Drop what the index holds at *paths*; one that is not there is no error."""
        self.apply((), paths)

    def apply(
        self,
        documents: Collection[IndexedDocument],
        removed: Collection[str] = (),
        expected: Mapping[str, Stamp] | None = None,
    ) -> None:
        """`put` and `remove` in one transaction. With *expected*, a path whose stamp in the index is not the expected
        one (absent counts) is left alone: it was written meanwhile by somebody who knew more."""
        prepared = list({document.path: prepare(document) for document in documents}.values())
        if prepared or removed:
            paths = list(dict.fromkeys(removed))
            self._database.write(lambda connection: write(connection, prepared, paths, expected))

    def search(
        self,
        text: str,
        *,
        agent: str,
        scopes: Collection[str],
        types: Collection[str] = (),
        tags: Collection[str] = (),
        include_hidden: bool = False,
        today: str = "",
        limit: int = 10,
    ) -> SearchResult:
        """The best documents for *text*: words in any order, ``"a phrase"``, ``begin*``; nothing in it is an error.

        Those that hold every word come first; when they are fewer than *limit*, those that hold the rarer words
        follow. *types*: any of these; *tags*: all of these, whatever their case. Hidden and expired documents (their
        `expires` is before *today*, the clock's day when empty) are found only with *include_hidden*.
        """
        day = today or self._clock.now().date().isoformat()
        return self.find(Request(text, agent, scopes, types, tags, include_hidden, day, limit))

    def find(self, request: Request) -> SearchResult:
        """`search`, its arguments in one."""
        return self._database.read(lambda connection: search(connection, request, self._frequencies))

    def list(
        self,
        *,
        agent: str,
        scope: str,
        types: Collection[str] = (),
        tags: Collection[str] = (),
        pinned: bool | None = None,
        hidden: bool | None = False,
        before_day: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Documents by day, newest first, then by path. *pinned* or *hidden* of None means either; expired documents
        are listed. *cursor* is a `next_cursor`; any other raises InvalidArgument."""
        request = ListRequest(agent, scope, types, tags, pinned, hidden, before_day, limit, cursor)
        return self._database.read(lambda connection: page(connection, request))

    def get(self, path: str) -> IndexedDocument | None:
        """The document at *path* with its body; None when the index has none."""
        return self._database.read(lambda connection: _get(connection, path))

    def find_by_name(self, agent: str, scope: str, name: str) -> tuple[Entry, ...]:
        """The documents of that very name, hidden ones too, by path: folders may repeat a name."""
        return self._database.read(lambda connection: _named(connection, agent, scope, name))

    def linking(self, agent: str, key: str, limit: int = 50) -> tuple[Entry, ...]:
        """Visible documents of every scope that hold a link with this `links.link_key`, newest first."""
        arguments: dict[str, str | int] = {"agent": agent, "target": key, "limit": limit}
        return self._entries("linking", agent, arguments)

    def resolve(self, agent: str, key: str) -> tuple[Entry, ...]:
        """The documents that a link with this `links.link_key` finds, visible ones first."""
        return self._entries("stemmed", agent, {"agent": agent, "stem": key})

    def unresolved(self, agent: str, scope: str, limit: int = 10_000) -> Sequence[tuple[str, str]]:
        """(path, link key) of links in visible documents that find nothing, by path."""
        arguments = {"agent": agent, "scope": scope, "limit": limit}
        rows = self._database.read(lambda each: each.execute(statement("unresolved"), arguments).fetchall())
        return [(row["path"], row["target"]) for row in rows]

    def scan(self, agent: str, scope: str, batch: int = 500) -> Iterator[IndexedDocument]:
        """Every document of *scope* with its body, hidden ones too; each batch is a transaction of its own."""
        after = 0
        while rows := self._database.read(lambda each: _scanned(each, agent, scope, after, batch)):  # noqa: B023
            yield from (document_of(row, agent, scope, row["text"]) for row in rows)
            after = rows[-1]["id"]

    def state(self, agent: str, scope: str) -> str:
        """Another text whenever a document of *scope* changed."""
        return self.generation + self._database.read(lambda connection: _state(connection, agent, scope))

    def _entries(self, name: str, agent: str, arguments: Mapping[str, str | int]) -> tuple[Entry, ...]:
        rows = self._database.read(lambda each: each.execute(statement(name), arguments).fetchall())
        return tuple(entry_of(row, agent, row["scope"]) for row in rows)

    def stamps(self, agent: str, scope: str) -> dict[str, Stamp]:
        """Path and stamp of every document of *scope*, hidden ones too."""
        return self._database.read(lambda connection: dict(_each_stamp(connection, agent, scope)))

    def sum_of_stamps(self, agent: str, scope: str) -> tuple[int, int]:
        """What `summed` makes of `stamps`, none of which is kept."""
        return self._database.read(lambda connection: summed(_each_stamp(connection, agent, scope)))

    def counts(self, agent: str) -> dict[str, int]:
        """How many documents each scope of *agent* holds, hidden ones too."""
        return {row["scope"]: row["documents"] for row in self._shelves(agent)}

    def tidy(self, agent: str, *, whole: bool = False) -> None:
        """Merge what single puts left behind, for an idle moment or every few hundred puts: searches are then up to
        a third faster. Takes tens of milliseconds in steps that others get between; *whole* merges all there is,
        0.1 s for 10,000 documents, which is for after a large fill."""
        tidy(self._database, agent, whole=whole)

    def close(self) -> None:
        """Close every connection. Later calls raise Unavailable."""
        self._database.close()

    def _shelves(self, agent: str) -> Collection[sqlite3.Row]:
        return self._database.read(lambda each: each.execute(statement("shelves"), {"agent": agent}).fetchall())


def _mark_filled(connection: sqlite3.Connection, agent: str, scope: str) -> None:
    connection.execute(statement("mark_filled"), {"shelf": shelf_row(connection, agent, scope)["shelf"]})


def _get(connection: sqlite3.Connection, path: str) -> IndexedDocument | None:
    row = connection.execute(statement("document"), {"path": path}).fetchone()
    if row is None:
        return None
    body = row["body"]
    if body is None:
        body = connection.execute(statement("text", row["agent"]), {"id": row["id"]}).fetchone()["body"]
    return document_of(row, row["agent_name"], row["scope"], body, _links(connection, row["id"]))


def _links(connection: sqlite3.Connection, number: int) -> tuple[str, ...]:
    return tuple(row["target"] for row in connection.execute(statement("links"), {"id": number}))


def _scanned(connection: sqlite3.Connection, agent: str, scope: str, after: int, limit: int) -> Sequence[sqlite3.Row]:
    shelf = connection.execute(statement("shelf"), {"agent": agent, "scope": scope}).fetchone()
    if shelf is None:
        return ()
    arguments = {"shelf": shelf["shelf"], "after": after, "limit": limit}
    return connection.execute(statement("scan", shelf["agent"]), arguments).fetchall()


def _state(connection: sqlite3.Connection, agent: str, scope: str) -> str:
    shelf = connection.execute(statement("shelf"), {"agent": agent, "scope": scope}).fetchone()
    row = connection.execute(statement("state"), {"shelf": shelf["shelf"]}).fetchone() if shelf else ()
    return ":".join(map(str, row))


def _named(connection: sqlite3.Connection, agent: str, scope: str, name: str) -> tuple[Entry, ...]:
    shelf = connection.execute(statement("shelf"), {"agent": agent, "scope": scope}).fetchone()
    if shelf is None:
        return ()
    rows = connection.execute(statement("named"), {"shelf": shelf["shelf"], "name": name})
    return tuple(entry_of(row, agent, scope) for row in rows)


def _each_stamp(connection: sqlite3.Connection, agent: str, scope: str) -> Iterator[tuple[str, Stamp]]:
    shelf = connection.execute(statement("shelf"), {"agent": agent, "scope": scope}).fetchone()
    if shelf is None:
        return
    cursor = connection.cursor()
    cursor.row_factory = None  # bare tuples: there may be very many
    # By their range of ids they are read in the order in which they lie: half the time that an index takes.
    (first, _), (_, last) = id_range(shelf["shelf"], VISIBLE), id_range(shelf["shelf"], HIDDEN)
    rows = cursor.execute(statement("stamps"), {"first": first, "last": last})
    yield from ((path, (mtime_ns, size)) for path, mtime_ns, size in rows)
