"""What of an agent's folder is searched, and how each file is seen by the index."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from argosy_core.index.documents import IndexedDocument
from argosy_core.index.library import Shelf
from argosy_core.views.notes import NoteView, read_note

MAX_INDEXED_CHARS = 1_000_000
SHELVES = (Shelf("notes", "memory"), Shelf("wiki", "wiki", deep=True), Shelf("raw", "raw", suffix="", deep=True))
INDEX_NAMES = ("INDEX.md",)
_URIS = {"notes": "memory://note/", "wiki": "wiki://", "raw": "raw://"}


def scope_of(path: str) -> str:
    """The scope whose folder *path* lies in."""
    folder = path.split("/")[1]
    return next(shelf.scope for shelf in SHELVES if shelf.folder == folder)


def uri_of(scope: str, name: str) -> str:
    """The resource of a document."""
    return f"{_URIS[scope]}{name}"


def make_document(agent: str, path: str, data: bytes, stamp: tuple[int, int]) -> IndexedDocument | None:
    """What the index holds of a file; None for index pages and for what is not text."""
    if path.rsplit("/", 1)[-1] in INDEX_NAMES or b"\0" in data[:1024]:
        return None
    return document_of(agent, read_note(path, data.decode("utf-8", "replace")[:MAX_INDEXED_CHARS]), stamp)


def document_of(agent: str, note: NoteView, stamp: tuple[int, int]) -> IndexedDocument:
    """What the index holds of *note*."""
    scope = scope_of(note.path)
    return IndexedDocument(
        path=note.path,
        agent=agent,
        scope=scope,
        name=_name(note, scope, agent),
        title=note.title,
        type=note.type if scope == "notes" else ("wiki_page" if scope == "wiki" else "raw"),
        description=note.description,
        tags=note.tags,
        body=note.body,
        stamp=stamp,
        day=note.last_seen or _day_of(stamp),
        expires=note.expires_at,
        pinned=note.pinned,
        hidden=note.hidden,
        extra=json.dumps({"provenance": note.provenance, "captured": note.captured}, separators=(",", ":")),
    )


def _name(note: NoteView, scope: str, agent: str) -> str:
    if scope == "notes":
        return note.name
    inside = note.path.split("/", 2)[2]
    return inside.removesuffix(".md") if scope == "wiki" else inside


def _day_of(stamp: tuple[int, int]) -> str:
    return datetime.fromtimestamp(stamp[0] / 1e9, UTC).date().isoformat()
