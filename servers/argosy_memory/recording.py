"""Changes of documents: each is written with its event, and the index, the index page and the listeners hear of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from argosy_core.index.library import Library
from argosy_core.storage.base import Content, Store
from argosy_core.storage.logged import Telling, write_logged
from argosy_core.types import Caller
from argosy_core.views.notes import NoteView, read_note
from argosy_memory.index_page import IndexPages
from argosy_memory.shelves import document_of

WRITER = "memory"


class Recorder:
    """Writes documents and tells of it."""

    def __init__(self, store: Store, library: Library, pages: IndexPages) -> None:
        self._store = store
        self._library = library
        self._pages = pages

    async def save(
        self, agent: str, caller: Caller, kind: str, path: str, text: str, expect: str, *, view: NoteView | None = None,
        key: str | None = None, **fields: str | int | None,
    ) -> tuple[NoteView, Content]:  # fmt: skip
        """Put *text* at *path*, the content before it kept as a version. *kind* and *fields* are what the event says
        beside its name; *view* is what `read_note` would make of *text*, where that is known.

        Raises Conflict, AlreadyExists, TooLarge.
        """
        note = view or read_note(path, text)

        def tell(content: Content) -> Mapping[str, Any]:
            event = {
                "kind": kind,
                "name": note.name,
                "path": path,
                "version": content.version,
                "run_id": caller.run,
                **fields,
            }
            return {name: value for name, value in event.items() if value is not None}

        telling = Telling(agent, WRITER, tell, key)
        content = await write_logged(self._store, path, text.encode(), telling, expect=expect, keep_version=True)
        self._library.put(document_of(agent, note, content.stamp))
        self._pages.mark(agent)
        self._store.bell.ring(path)
        return note, content
