"""What of an agent's folder is searched, and how each file is seen by the index."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from argosy_core.index.documents import IndexedDocument
from argosy_core.index.library import Shelf
from argosy_core.links import link_key, links_in, tags_in
from argosy_core.views.notes import NOTE_TYPES, NoteView, read_note
from argosy_core.yamltext import is_list

MAX_INDEXED_CHARS = 1_000_000
SHELVES = (Shelf("notes", "memory"), Shelf("wiki", "wiki", deep=True), Shelf("raw", "raw", suffix="", deep=True))
ALL_SCOPES = tuple(shelf.scope for shelf in SHELVES)
INDEX_NAMES = ("INDEX.md",)
MOST_SOURCES = 100
MOST_ALIASES = 20
MAX_TITLE_CHARS = 80  # as the older system
MAX_DESCRIPTION_CHARS = 200
EXPECTED_FIELDS = ("name", "description", "type", "captured", "last_seen", "sources", "confidence")
CONFIDENCES = ("high", "medium", "low")
PROVENANCES = (
    *("legacy", "observed", "inferred", "generated", "confirmed", "disputed", "superseded"),
    "distilled",
)
_URIS = {"notes": "memory://note/", "wiki": "wiki://", "raw": "raw://"}


def scope_of(path: str) -> str:
    """The scope whose folder *path* lies in."""
    folder = path.split("/")[1]
    return next(shelf.scope for shelf in SHELVES if shelf.folder == folder)


def uri_of(scope: str, name: str) -> str:
    """The resource of a document."""
    return f"{_URIS[scope]}{name}"


def page_of(path: str) -> str:
    """The name of the wiki page or source at *path*: where it lies in its folder, without ``.md``."""
    return path.split("/", 2)[2].removesuffix(".md")


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
        description=_described(note),
        tags=note.tags if scope == "raw" else tuple(dict.fromkeys((*note.tags, *tags_in(note.body)))),
        body=note.body,
        stamp=stamp,
        day=note.last_seen or _day_of(stamp),
        expires=note.expires_at,
        pinned=note.is_pinned,
        hidden=note.hidden,
        extra=extra_of(note),
        links=tuple(dict.fromkeys(map(link_key, links_in(note.body)))),
    )


def _described(note: NoteView) -> str:
    """The description, and the other names that a person gave the note in Obsidian."""
    value: Any = note.fields.get("aliases") or note.fields.get("alias")
    names = [str(each) for each in value[:MOST_ALIASES]] if is_list(value) else [str(value)] if value else []
    also = ", ".join(" ".join(name.split())[:MAX_TITLE_CHARS] for name in names if name.strip())
    return " ".join(part for part in (note.description, f"(also {also})" if also else "") if part)


def extra_of(note: NoteView) -> str:
    """What lint and recall ask of a note beside what every document has, as JSON; empty fields are left out."""
    fields = {
        "provenance": note.provenance,
        "captured": note.captured,
        "confidence": note.confidence,
        "sources": list(note.sources[:MOST_SOURCES]),
        "supersedes": note.supersedes,
        "superseded_by": note.superseded_by,
        "archived": note.archived,
        "degraded": note.degraded,
        "drift": drift_of(note),
    }
    kept = {name: value for name, value in fields.items() if value}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def drift_of(note: NoteView) -> list[str]:
    """Where a note's file departs from the format that both systems write."""
    found: list[str] = []
    if scope_of(note.path) != "notes":
        return found
    found += [f"no {name}" for name in EXPECTED_FIELDS if note.fields.get(name) in (None, "", [])]
    if note.type not in NOTE_TYPES:
        found.append(f"type {note.type!r}")
    elif not note.name.startswith(f"{note.type}_"):
        found.append(f"a {note.type} in a file called {note.name}")
    if len(note.title) > MAX_TITLE_CHARS:
        found.append(f"a name of more than {MAX_TITLE_CHARS} characters")
    if len(note.description) > MAX_DESCRIPTION_CHARS:
        found.append(f"a description of more than {MAX_DESCRIPTION_CHARS} characters")
    if note.confidence and note.confidence not in CONFIDENCES:
        found.append(f"confidence {note.confidence!r}")
    if note.provenance not in PROVENANCES:
        found.append(f"provenance {note.provenance!r}")
    return found


def _name(note: NoteView, scope: str, agent: str) -> str:
    if scope == "notes":
        return note.name
    inside = note.path.split("/", 2)[2]
    return inside.removesuffix(".md") if scope == "wiki" else inside


def _day_of(stamp: tuple[int, int]) -> str:
    return datetime.fromtimestamp(stamp[0] / 1e9, UTC).date().isoformat()
