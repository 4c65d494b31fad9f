"""Notes of an agent: write, read, search, list, recall."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from typing import Any

from anyio import to_thread

from argosy_core.errors import ArgosyError, NotFound
from argosy_core.index.documents import Entry
from argosy_core.index.documents import Hit as IndexHit
from argosy_core.index.library import Library
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import clamp_limit
from argosy_core.views.notes import read_note
from argosy_memory.index_page import IndexPages
from argosy_memory.models import Hit, Note, NoteItem, NotePage, Recall, Recalled, SearchResult, WikiPage, note_fields
from argosy_memory.note_files import NoteFiles
from argosy_memory.recall import Candidate, assemble, links_in, order
from argosy_memory.shelves import SHELVES, make_document, uri_of
from argosy_memory.writing import NoteWriter

ALL_SCOPES = ("notes", "wiki", "raw")
RECALL_MATCHES = 12
RECALL_RECENT = 5
RECALL_PINNED = 20
RECALL_LINKED = 5


class Notebook:
    """Memory of every agent of one vault; `writer` writes, the rest is reading."""

    def __init__(self, config: ServerConfig) -> None:
        self._store = config.store
        self._documents = config.store.documents
        self._clock = config.clock
        self._files = NoteFiles(config.store.documents)
        store = config.store
        self.library = store.shared(
            "memory.library",
            lambda: Library(store, config.clock, SHELVES, make_document),
            Library.close,
        )
        self.pages = store.shared(
            "memory.pages", lambda: IndexPages(store.files, self.library, self._today), IndexPages.flush
        )
        self.writer = NoteWriter(config, self._files, self.library, self.pages)

    def _today(self) -> str:
        return self._clock.now().date().isoformat()

    # Reading

    async def read(self, agent: str, name: str, version: str | None) -> Note:
        """The note *name*, or an earlier *version* of it. Raises NotFound."""
        if version is None:
            note, content = await self._files.find(agent, name)
            return Note(**note_fields(note, content))
        return await self._read_version(agent, name, version)

    async def _read_version(self, agent: str, name: str, version: str) -> Note:
        note, content = await self._files.find(agent, name)
        if content.version.startswith(version):
            return Note(**note_fields(note, content))
        for info in await self._documents.versions(note.path):
            if len(version) >= 8 and info.path.endswith(f"_{version[:8]}.md"):
                kept = await self._documents.read(info.path)
                if kept.version.startswith(version):
                    view = read_note(note.path, kept.data.decode("utf-8", "replace"))
                    return Note(**note_fields(view, kept))
        raise NotFound(f"{name} has no version {version[:16]}", hint="leave version out for the current one")

    async def read_page(self, agent: str, page: str) -> WikiPage:
        """A wiki page. Raises NotFound."""
        stem = page.removesuffix(".md")
        found = await self._files.load(f"{agent}/wiki/{stem}.md")
        if found is None:
            raise NotFound(f"there is no wiki page {stem!r}", hint="memory_search with scope wiki finds pages")
        note, content = found
        return WikiPage(
            page=stem,
            title=note.title,
            body=note.body,
            path=note.path,
            version=content.version,
            uri=uri_of("wiki", stem),
            frontmatter=note.fields,
            degraded=note.degraded,
        )

    async def index_page(self, agent: str) -> str:
        """``INDEX.md`` with every write so far in it."""
        await to_thread.run_sync(self.pages.flush)
        content = await self._documents.read(f"{agent}/memory/INDEX.md")
        return content.data.decode("utf-8", "replace")

    # Searching

    async def search(
        self,
        agent: str,
        query: str,
        scope: str,
        types: Collection[str],
        tags: Collection[str],
        mode: str,
        limit: int,
        include_archived: bool,
    ) -> SearchResult:
        """The best documents for *query*. Semantic search needs an embedding source, which this vault has none of."""
        note = "no embedding source is configured: searched by keywords" if mode == "semantic" else None
        scopes = ALL_SCOPES if scope == "all" else (scope,)

        def find() -> Any:
            index = self.library.fresh(agent, scopes)
            return index.search(
                query,
                agent=agent,
                scopes=scopes,
                types=types,
                tags=tags,
                include_hidden=include_archived,
                today=self._today(),
                limit=clamp_limit(limit),
            )

        found = await to_thread.run_sync(find)
        return SearchResult(
            hits=[_hit(hit) for hit in found.hits], mode="keyword", truncated=found.truncated, note=note
        )

    async def list_notes(
        self,
        agent: str,
        types: Collection[str],
        tags: Collection[str],
        pinned: bool | None,
        stale_days: int | None,
        limit: int,
        cursor: str | None,
    ) -> NotePage:
        """Live notes, most recently seen first; with *stale_days* only those not seen for so long."""
        before = None
        if stale_days is not None:
            before = (date.fromisoformat(self._today()) - timedelta(days=stale_days)).isoformat()

        def find() -> Any:
            index = self.library.fresh(agent, ("notes",))
            return index.list(
                agent=agent,
                scope="notes",
                types=types,
                tags=tags,
                pinned=pinned,
                before_day=before,
                limit=clamp_limit(limit),
                cursor=cursor,
            )

        page = await to_thread.run_sync(find)
        return NotePage(items=[_item(entry) for entry in page.items], next_cursor=page.next_cursor)

    # Recall

    async def recall(self, agent: str, task: str, token_budget: int, mode: str) -> Recall:
        """What to know for *task*: confirmed pinned notes, then what matches, what that links to, and the newest."""
        candidates = await to_thread.run_sync(self._candidates, agent, task)
        chosen = assemble(order(candidates, mode), max(100, min(token_budget, 32_000)))
        return Recall(
            text=chosen.text,
            used_tokens=chosen.used_tokens,
            notes=[Recalled(name=name, why=why) for name, why in chosen.chosen],
        )

    def _candidates(self, agent: str, task: str) -> Sequence[Candidate]:
        today = self._today()
        index = self.library.fresh(agent, ("notes",))
        pinned = index.list(agent=agent, scope="notes", pinned=True, limit=RECALL_PINNED).items
        hits = index.search(task, agent=agent, scopes=("notes",), today=today, limit=RECALL_MATCHES).hits
        recent = index.list(agent=agent, scope="notes", limit=RECALL_RECENT).items
        paths = [(e.path, "pinned") for e in pinned] + [(h.path, f"matches: {h.why}") for h in hits]
        found = self._read_candidates(paths, today)
        linked = [(path, why) for c in found for path, why in self._linked(agent, c)][:RECALL_LINKED]
        return found + self._read_candidates([*linked, *((e.path, "recent") for e in recent)], today)

    def _linked(self, agent: str, candidate: Candidate) -> list[tuple[str, str]]:
        return [(f"{agent}/memory/{name}.md", f"linked from {candidate.name}") for name in links_in(candidate.body)]

    def _read_candidates(self, paths: Sequence[tuple[str, str]], today: str) -> list[Candidate]:
        found: list[Candidate] = []
        for path, why in paths:
            try:
                content = self._store.files.read(path)
            except ArgosyError:
                continue  # a link to nothing, or a file that went away
            note = read_note(path, content.data.decode("utf-8", "replace"))
            # What an agent pinned counts only once a person confirmed it.
            unconfirmed = why == "pinned" and note.provenance not in ("confirmed", "legacy")
            if not note.is_live(today) or unconfirmed:
                continue
            found.append(
                Candidate(
                    note.name, note.title, note.type, note.provenance, note.last_seen, note.captured, note.body, why
                )
            )
        return found

    async def close(self) -> None:
        """Write what waits."""
        await to_thread.run_sync(self.pages.flush)


def _hit(hit: IndexHit) -> Hit:
    return Hit(
        name=hit.name,
        title=hit.title,
        type=hit.type,
        score=round(hit.score, 4),
        snippet=hit.snippet,
        uri=uri_of(hit.scope, hit.name),
        scope=hit.scope,
    )


def _item(entry: Entry) -> NoteItem:
    return NoteItem(
        name=entry.name,
        title=entry.title,
        type=entry.type,
        description=entry.description,
        tags=list(entry.tags),
        pinned=entry.pinned,
        last_seen=entry.day,
        uri=uri_of("notes", entry.name),
    )
