"""Folders of Markdown: a basic-memory project, an Obsidian vault, or plain files.

basic-memory 0.23: frontmatter with title, type, permalink and tags; observations and relations are lines of the body
and stay there. Obsidian: frontmatter called properties (tags, aliases, dates under several names), links by file name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from argosy_core.frontmatter import Page as Parsed
from argosy_core.frontmatter import parse
from argosy_core.views.notes import NOTE_TYPES
from argosy_core.yamltext import is_list, is_map
from argosy_host.importing.containers import TextFile, markdown_files
from argosy_host.importing.foreign import Into, Item, Page, Unusable

DAY_FIELDS = ("created_at", "created", "date", "date created", "created_date")
KNOWN_FIELDS = frozenset({"title", "type", "tags", "tag", *DAY_FIELDS})
MAX_FIELD_CHARS = 500
SAMPLED_FILES = 50


class MarkdownFolder:
    """Pages of *folder*; the kinds differ in what their frontmatter means."""

    def __init__(self, folder: Path, kind: str, into: Into) -> None:
        self._folder = folder
        self.kind = kind
        self.label = folder.resolve().name
        self.into: Into = into

    def items(self) -> Iterator[Item]:
        for file in markdown_files(self._folder):
            if isinstance(file, Unusable):
                yield file
                continue
            text = file.read()
            yield text if isinstance(text, Unusable) else self._page(file, text)

    def _page(self, file: TextFile, text: str) -> Item:
        page = parse(text)
        place = file.place[: -len(".md")]
        stem = place.rsplit("/", 1)[-1]
        if not page.body.strip() and not page.fields:
            return Unusable(file.place, "is empty")
        title = _text(page.fields.get("title")) or stem
        permalink = _text(page.fields.get("permalink"))
        type_ = _text(page.fields.get("type")).lower()
        return Page(
            id=place,
            title=title,
            body=page.body,
            place=place,
            type=type_ if type_ in NOTE_TYPES else "reference",
            description=_text(page.fields.get("description"))[:200],
            tags=_tags(page),
            day=_day(page.fields) or _day_of_mtime(file.mtime),
            links=tuple(dict.fromkeys(link for link in (title, stem, place, permalink, *_aliases(page)) if link)),
            fields=_other_fields(page.fields),
            text=text,
        )


def is_basic_memory(folder: Path) -> bool:
    """Whether some of the first files of *folder* have a permalink, as basic-memory gives every file."""
    for number, file in enumerate(markdown_files(folder)):
        if number >= SAMPLED_FILES:
            return False
        if isinstance(file, TextFile):
            text = file.read()
            if isinstance(text, str) and "permalink" in parse(text).fields:
                return True
    return False


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    return [str(part).strip() for part in value if part is not None] if is_list(value) else []


def _tags(page: Parsed) -> tuple[str, ...]:
    named = _texts(page.fields.get("tags")) + _texts(page.fields.get("tag"))
    return tuple(dict.fromkeys(tag.lstrip("#") for tag in named if tag.strip("#")))[:100]


def _aliases(page: Parsed) -> list[str]:
    return _texts(page.fields.get("aliases")) + _texts(page.fields.get("alias"))


def _day(fields: Mapping[str, Any]) -> str | None:
    for name in DAY_FIELDS:
        text = _text(fields.get(name))[:10]
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            continue
    return None


def _day_of_mtime(mtime: float) -> str:
    return datetime.fromtimestamp(mtime, UTC).date().isoformat()


def _other_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What is worth keeping of a head beside what has a place of its own: short values, and lists of them."""
    kept: dict[str, Any] = {}
    for name, value in fields.items():
        if name in KNOWN_FIELDS or value is None or is_map(value):
            continue
        texts = [str(part) for part in value] if is_list(value) else [str(value)]
        if sum(map(len, texts)) <= MAX_FIELD_CHARS and len(texts) <= 50:
            kept[name] = value if not is_list(value) else texts
    return kept
