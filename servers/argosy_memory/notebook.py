"""Memory of every agent of one vault: its parts put together, and what is read of it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from typing import Any

from argosy_core.errors import InvalidArgument
from argosy_core.index.documents import Entry
from argosy_core.index.library import Library
from argosy_core.off_loop import off_loop
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import clamp_limit
from argosy_core.storage.base import Content
from argosy_core.types import Caller
from argosy_core.views.notes import NoteView
from argosy_memory.index_page import IndexPages
from argosy_memory.linting import Linter
from argosy_memory.meanings import Meanings
from argosy_memory.models import Note, NoteItem, NotePage, Recall, RecallMode, SearchResult, note_fields
from argosy_memory.note_files import NoteFiles
from argosy_memory.paths import path_of
from argosy_memory.recalling import Recaller, belief_of
from argosy_memory.recording import Recorder
from argosy_memory.searching import Question, Searcher
from argosy_memory.shelves import SHELVES, make_document, uri_of
from argosy_memory.upkeep import Upkeep
from argosy_memory.upkeep_models import LintPage
from argosy_memory.wiki import Wiki
from argosy_memory.writing import NoteWriter

MAX_SHOWN_CHARS = 90_000  # of one body: what a result's text may hold


class Notebook:
    """`writer`, `upkeep` and `wiki` change; the rest is reading."""

    def __init__(self, config: ServerConfig) -> None:
        store = config.store
        self._documents = store.documents
        self._clock = config.clock
        self._files = NoteFiles(store.documents)
        self.library = store.shared(
            "memory.library",
            lambda: Library(store, config.clock, SHELVES, make_document),
            Library.close,
        )
        self.pages = store.shared(
            "memory.pages", lambda: IndexPages(store.files, self.library, config.clock), IndexPages.flush
        )
        self.meanings = store.shared(
            "memory.meanings", lambda: Meanings(store, config.clock, config.ids, self.library), Meanings.close
        )
        recorder = Recorder(store, self.library, self.pages)
        self.searcher = Searcher(self.library, self.meanings, self._today)
        self.writer = NoteWriter(config, self._files, recorder)
        self.upkeep = Upkeep(config, self._files, recorder)
        self.wiki = Wiki(config, self._files, self.library, recorder)
        self._recaller = Recaller(store.files, self.library, self.searcher, self._today)
        self._linter = Linter(store.files, self.library, self._today)

    def _today(self) -> str:
        return self._clock.now().date().isoformat()

    async def read(self, agent: str, name: str, version: str | None = None, offset: int = 0) -> Note:
        """The note *name*, or an earlier *version* of it; of a long body the part from *offset*. Raises NotFound."""
        found = await self._found(agent, name, version)
        length = len(found[0].body)
        if offset > length:
            raise InvalidArgument(f"the body has {length} characters", hint="use next_offset")
        fields = note_fields(*found, offset, MAX_SHOWN_CHARS)
        return Note(**fields, believed=await self._believed(agent, found[0]))

    async def _found(self, agent: str, name: str, version: str | None) -> tuple[NoteView, Content]:
        path = path_of(agent, name)
        if version is None:
            return await self._files.find(agent, name)
        current = await self._files.load(path)
        if current is not None and current[1].version.startswith(version):
            return current
        return await self._files.version(path, version)

    async def _believed(self, agent: str, note: NoteView) -> str | None:
        """When a note that was replaced held."""
        successor = note.superseded_by.removesuffix(".md")
        if not successor:
            return None
        found = None if "/" in successor else await self._files.load(f"{agent}/memory/{successor}.md")
        return f"{belief_of(note, found[0] if found else None)}, then {successor}"

    async def index_page(self, agent: str) -> str:
        """``INDEX.md`` with every write so far in it."""
        await off_loop(self.pages.flush)
        content = await self._documents.read(f"{agent}/memory/INDEX.md")
        return content.data.decode("utf-8", "replace")

    async def search(self, agent: str, question: Question) -> SearchResult:
        """The best documents for *question*."""
        return await off_loop(self.searcher.search, agent, question)

    async def recall(self, agent: str, caller: Caller, task: str, token_budget: int, mode: RecallMode) -> Recall:
        """What to know for *task*."""
        return await off_loop(self._recaller.recall, agent, caller, task, token_budget, mode)

    async def lint(self, agent: str, limit: int, cursor: str | None) -> LintPage:
        """What in *agent*'s notes wants a look."""
        return await off_loop(self._linter.lint, agent, clamp_limit(limit), cursor)

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

        page = await off_loop(find)
        return NotePage(
            items=[_item(entry) for entry in page.items],
            next_cursor=page.next_cursor,
            note=self.searcher.progress(agent, ("notes",)),
        )

    async def close(self) -> None:
        """Write what waits."""
        await off_loop(self.pages.flush)


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
