"""Notes as files: found by name, read, written by compare-and-swap."""

from __future__ import annotations

from argosy_core.errors import NotFound
from argosy_core.names import check_path
from argosy_core.storage.base import Content, Documents
from argosy_core.views.notes import NoteView, read_note


class NoteFiles:
    """The notes of every agent of one vault."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def find(self, agent: str, name: str) -> tuple[NoteView, Content]:
        stem = name.removesuffix(".md")
        check_path(stem)
        found = await self.load(f"{agent}/memory/{stem}.md") if "/" not in stem else None
        if found is None:
            raise NotFound(f"there is no note {stem!r}", hint="memory_search finds notes by words")
        return found

    async def load(self, path: str) -> tuple[NoteView, Content] | None:
        try:
            content = await self._documents.read(path)
        except NotFound:
            return None
        return read_note(path, content.data.decode("utf-8", "replace")), content

    async def save(self, path: str, text: str, expect: str) -> tuple[NoteView, Content]:
        content = await self._documents.write(path, text.encode(), expect=expect, keep_version=True)
        return read_note(path, text), content
