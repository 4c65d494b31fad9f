"""The index as its owners see it, over PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from argosy_core.clock import Clock
from argosy_core.index.documents import Entry, IndexedDocument, Page, SearchResult, Stamp, summed
from argosy_core.index.listing import ListRequest, page_of, start_of
from argosy_core.index.postgres.search import find
from argosy_core.index.postgres.tables import Tables
from argosy_core.index.postgres.vectors import PostgresVectors
from argosy_core.index.postgres.writing import clean, prepare, shelf_number, write
from argosy_core.index.rows import document_of, entry_of, joined
from argosy_core.index.search import Request
from argosy_core.index.stages import Frequencies
from argosy_core.storage.postgres.database import Database, Session


class PostgresIndex:
    """`DocumentIndex` in the vault's schema: what one host puts in, every host finds at once.

    Nothing in it is truth: its tables can be dropped at any time. They are then made anew, empty, and `generation`
    changes. Every method blocks. Raises Unavailable and DeadlineExceeded when the database does not answer.
    A NUL character of a text is kept as U+FFFD.
    """

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._tables = Tables(database)
        self._clock = clock
        self._frequencies = Frequencies()
        self.vectors = PostgresVectors(self._tables)

    @property
    def generation(self) -> str:
        return self._tables.generation()

    def needs_rebuild(self, agent: str, scope: str) -> bool:
        return not any(row["is_filled"] for row in self._shelves(agent) if row["scope"] == scope)

    def mark_filled(self, agent: str, scope: str) -> None:
        async def mark(session: Session) -> None:
            await session.rows("mark_filled", shelf=await shelf_number(session, agent, scope))

        self._tables.write(mark)

    def put(self, *documents: IndexedDocument) -> None:
        self.apply(documents)

    def remove(self, *paths: str) -> None:
        self.apply((), paths)

    def apply(
        self,
        documents: Collection[IndexedDocument],
        removed: Collection[str] = (),
        expected: Mapping[str, Stamp] | None = None,
    ) -> None:
        prepared = list({document.path: prepare(document) for document in documents}.values())
        if prepared or removed:
            paths = list(dict.fromkeys(removed))
            self._tables.write(lambda session: write(session, prepared, paths, expected))

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
        day = today or self._clock.now().date().isoformat()
        return self.find(Request(text, agent, scopes, types, tags, include_hidden, day, limit))

    def find(self, request: Request) -> SearchResult:
        return find(self._tables, request, self._frequencies)

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
        request = ListRequest(agent, scope, types, tags, pinned, hidden, before_day, limit, cursor)
        day, path = start_of(request)
        if limit < 1:
            return Page((), None)
        rows = self._tables.rows(
            "list",
            agent=clean(agent),
            scope=clean(scope),
            day=clean(day),
            path=clean(path),
            pinned=pinned,
            hidden=hidden,
            types=clean(joined(types)),
            tags=[clean(tag) for tag in tags],
            limit=limit + 1,
        )
        return page_of(rows, request)

    def get(self, path: str) -> IndexedDocument | None:
        row = next(iter(self._tables.rows("document", path=clean(path))), None)
        if row is None:
            return None
        return document_of(row, row["agent"], row["scope"], row["body"], tuple(row["links"]))

    def find_by_name(self, agent: str, scope: str, name: str) -> tuple[Entry, ...]:
        return self._entries("named", agent, scope=clean(scope), name=clean(name))

    def linking(self, agent: str, key: str, limit: int = 50) -> tuple[Entry, ...]:
        return self._entries("linking", agent, target=clean(key), limit=limit)

    def resolve(self, agent: str, key: str) -> tuple[Entry, ...]:
        return self._entries("stemmed", agent, stem=clean(key))

    def unresolved(self, agent: str, scope: str, limit: int = 10_000) -> Sequence[tuple[str, str]]:
        rows = self._tables.rows("unresolved", agent=clean(agent), scope=clean(scope), limit=limit)
        return [(row["path"], row["target"]) for row in rows]

    def scan(self, agent: str, scope: str, batch: int = 500) -> Iterator[IndexedDocument]:
        after = 0
        while rows := self._tables.rows("scan", agent=clean(agent), scope=clean(scope), after=after, limit=batch):
            yield from (document_of(row, agent, scope, row["body"]) for row in rows)
            after = rows[-1]["id"]

    def state(self, agent: str, scope: str) -> str:
        [row] = self._tables.rows("state", agent=clean(agent), scope=clean(scope))
        return ":".join([self.generation, *(str(row[name]) for name in ("count", "last", "times", "size"))])

    def stamps(self, agent: str, scope: str) -> dict[str, Stamp]:
        rows = self._tables.rows("stamps", agent=clean(agent), scope=clean(scope))
        return {row["path"]: (row["mtime_ns"], row["size"]) for row in rows}

    def sum_of_stamps(self, agent: str, scope: str) -> tuple[int, int]:
        return summed(self.stamps(agent, scope).items())

    def counts(self, agent: str) -> dict[str, int]:
        return {row["scope"]: row["documents"] for row in self._shelves(agent)}

    def tidy(self, agent: str, *, whole: bool = False) -> None:
        """Nothing: the database's own vacuum does it."""

    def close(self) -> None:
        self._tables.close()

    def _shelves(self, agent: str) -> Sequence[Any]:
        return self._tables.rows("shelves", agent=clean(agent))

    def _entries(self, name: str, agent: str, /, **values: Any) -> tuple[Entry, ...]:
        rows = self._tables.rows(name, agent=clean(agent), **values)
        return tuple(entry_of(row, agent, row["scope"]) for row in rows)
