"""Documents as rows and rows as documents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date
from typing import Any

from argosy_core.errors import InvalidArgument
from argosy_core.index.documents import Entry, IndexedDocument
from argosy_core.index.text import pieces, searchable, storable
from argosy_core.links import link_key

SEPARATOR = "\x1f"
VISIBLE, HIDDEN = 0, 1
MEANING_CHARS = 6_000
"""Of a long text the beginning is embedded: what most models take."""
SHELF_BITS = 32

Row = dict[str, str | int | bytes | None]


def row_of(document: IndexedDocument) -> Row:
    """Every column of `documents` and of the full-text table but the ids. Raises InvalidArgument for a path that
    UTF-8 cannot hold: it could not be found again."""
    if storable(document.path) != document.path:
        raise InvalidArgument(f"not a path of UTF-8 text: {document.path!r}")
    title, description = storable(document.title), storable(document.description)
    tags, body = [storable(tag) for tag in document.tags], storable(document.body)
    indexed = _indexed(document, title, description, tags, body)
    return {
        "path": document.path,
        "hidden": int(document.hidden),
        "pinned": int(document.pinned),
        "day_number": day_number(document.day),
        "mtime_ns": document.stamp[0],
        "size": document.stamp[1],
        "digest": _digest(document, title, description, tags, body),
        "meaning": hashlib.blake2b(meant(title, description, body).encode(), digest_size=16).digest(),
        "expires": storable(document.expires),
        "type": storable(document.type),
        "day": storable(document.day),
        "tags": joined(tags),
        "name": storable(document.name),
        "stem": link_key(storable(document.name)),
        "title": title,
        "description": description,
        "extra": storable(document.extra),
        "body": None if indexed["fts_body"] == body else body,
        **indexed,
    }


def entry_of(row: Any, agent: str, scope: str) -> Entry:
    return Entry(
        path=row["path"],
        agent=agent,
        scope=scope,
        name=row["name"],
        title=row["title"],
        type=row["type"],
        description=row["description"],
        tags=tags_of(row["tags"]),
        stamp=(row["mtime_ns"], row["size"]),
        day=row["day"],
        expires=row["expires"],
        pinned=bool(row["pinned"]),
        hidden=bool(row["hidden"]),
        extra=row["extra"],
    )


def document_of(row: Any, agent: str, scope: str, body: str, links: tuple[str, ...] = ()) -> IndexedDocument:
    entry = entry_of(row, agent, scope)
    return IndexedDocument(**{name: getattr(entry, name) for name in Entry.__slots__}, body=body, links=links)


def meant(title: str, description: str, body: str) -> str:
    """The text of a document that a vector is made of."""
    return f"{title}\n{description}\n\n{body}"[:MEANING_CHARS]


def joined(values: Iterable[str]) -> str:
    """*values* in one text, each between separators; empty for none."""
    parts = [value.replace(SEPARATOR, " ") for value in values]
    return f"{SEPARATOR}{SEPARATOR.join(parts)}{SEPARATOR}" if parts else ""


def tags_of(text: str) -> tuple[str, ...]:
    return tuple(text[1:-1].split(SEPARATOR)) if text else ()


def id_range(shelf: int, hidden: int) -> tuple[int, int]:
    """The first and the last id a document of this shelf can have."""
    first = (2 * shelf + hidden) << SHELF_BITS
    return first, first + (1 << SHELF_BITS) - 1


def day_number(day: str) -> int:
    """*day* as an ordinal; 0, the oldest of all, when it is no date."""
    try:
        return date.fromisoformat(day[:10]).toordinal()
    except ValueError:
        return 0


def type_mark(type_name: str) -> str:
    """One token for one type, whatever is in its name."""
    return "t" + "".join(f"{byte:03d}" for byte in storable(type_name).encode())


def _indexed(document: IndexedDocument, title: str, description: str, tags: list[str], body: str) -> Row:
    return {
        "fts_title": searchable(title),
        "fts_description": searchable(description),
        "fts_tags": searchable(" ".join([*tags, *_other_names(document, title)])),
        "fts_body": searchable(body),
        "marks": type_mark(document.type),
    }


def _other_names(document: IndexedDocument, title: str) -> list[str]:
    """The words of the name that the title lacks. The type, which begins most names, would be everybody's word."""
    known = {piece.literal.lower() for piece in pieces(f"{title} {document.type}")}
    return [piece.literal for piece in pieces(document.name) if piece.literal.lower() not in known]


def _digest(document: IndexedDocument, title: str, description: str, tags: list[str], body: str) -> bytes:
    """Of what the full-text table and the place of a row depend on."""
    place = [document.agent, document.scope, str(document.hidden), document.type, document.name]
    text = SEPARATOR.join([*place, title, description, *tags, body, *document.links])
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
