"""What follows every change of a document: the index, the index page, the listeners and the log hear of it."""

from __future__ import annotations

from argosy_core.index.library import Library
from argosy_core.storage.base import Content, Store
from argosy_core.types import Caller
from argosy_core.views.notes import NoteView
from argosy_memory.index_page import IndexPages
from argosy_memory.shelves import document_of

WRITER = "memory"


class Announcer:
    """Tells of changes that were made."""

    def __init__(self, store: Store, library: Library, pages: IndexPages) -> None:
        self._store = store
        self._library = library
        self._pages = pages

    async def changed(
        self, agent: str, caller: Caller, kind: str, note: NoteView, content: Content, *, key: str | None = None,
        **fields: str | int | None,
    ) -> None:  # fmt: skip
        """The document *note* is now *content*; *kind* and *fields* are what the event says beside its name."""
        self._library.put(document_of(agent, note, content.stamp))
        self._pages.mark(agent)
        self._store.bell.ring(content.path)
        event = {
            "kind": kind,
            "name": note.name,
            "path": note.path,
            "version": content.version,
            "run_id": caller.run,
            **fields,
        }
        known = {name: value for name, value in event.items() if value is not None}
        await self._store.chain.append(agent, WRITER, known, key=key)
