"""Changes of documents: each is written with its event, and the index, the index page and the listeners hear of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from anyio import to_thread

from argosy_core.errors import ArgosyError
from argosy_core.index.library import Library
from argosy_core.links import link_key
from argosy_core.storage.base import ABSENT, Content, Store
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
        spelled = path if expect == ABSENT else await to_thread.run_sync(self._spelled, agent, path, content)
        indexed = note if spelled == path else read_note(spelled, text)
        self._library.put(spelled, content.stamp, lambda: document_of(agent, indexed, content.stamp))
        self._pages.mark(agent)
        self._store.bell.ring(spelled)
        return note, content

    def _spelled(self, agent: str, path: str, content: Content) -> str:
        """*path* as its folder has it: on a disk that folds case it may have been named in other letters, and is the
        same file when it has the stamp of what was just written."""
        with suppress(ArgosyError):  # the write is done; without an index there is nothing to put right
            for entry in self._library.index.resolve(agent, link_key(path)):
                if entry.path != path and entry.path.casefold() == path.casefold():
                    info = self._store.files.info(entry.path)
                    if info is not None and info.stamp == content.stamp:
                        return entry.path
        return path
