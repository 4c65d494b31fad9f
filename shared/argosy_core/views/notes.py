"""A note as the older format writes it: YAML frontmatter, then Markdown (`vault.md`; atomic-agents-stack 2.0)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from argosy_core.frontmatter import Page, key_line, parse, written
from argosy_core.yamltext import is_list, is_map

NOTE_TYPES = ("user", "feedback", "project", "decision", "reference")

# A note without provenance was put there by a person, or by the older system for one. What an agent pins by itself
# takes effect when a person confirms it: else one poisoned note would be read first in every run to come.
TRUSTED_TO_PIN = ("confirmed", "legacy")

_YES = frozenset({"true", "yes", "on"})
_HEADING_LINES = 20


@dataclass(frozen=True, slots=True)
class NoteView:
    """What a note says of itself. Dates are ISO texts, empty when it has none; *degraded* says what could not be read.

    *fields* is the whole frontmatter as it was read.
    """

    path: str
    name: str
    title: str
    type: str
    description: str
    body: str
    tags: tuple[str, ...]
    sources: tuple[str, ...]
    confidence: str
    pinned: bool
    provenance: str
    captured: str
    last_seen: str
    expires_at: str
    supersedes: str
    superseded_by: str
    archived: bool
    degraded: str | None
    fields: dict[str, Any]

    @property
    def is_pinned(self) -> bool:
        """Whether the pin takes effect."""
        return self.pinned and self.provenance in TRUSTED_TO_PIN

    @property
    def hidden(self) -> bool:
        """Whether the note has left recall for good: archived, superseded or disputed."""
        return self.archived or bool(self.superseded_by) or self.provenance in ("disputed", "superseded")

    def is_live(self, today: str | date) -> bool:
        """Whether recall may use the note on *today*. It may still on the day it expires."""
        day = today.isoformat()[:10] if isinstance(today, date) else today
        return not self.hidden and not (self.expires_at and self.expires_at < day)


def is_live(note: NoteView, today: str | date) -> bool:
    """`NoteView.is_live`."""
    return note.is_live(today)


def read_note(path: str, text: str) -> NoteView:
    """The note in *text*. Never fails: what cannot be read is named in `NoteView.degraded`."""
    page = parse(text)
    fields = page.fields
    name = path.rsplit("/", 1)[-1].removesuffix(".md")
    prefix = name.split("_", 1)[0]
    captured = _day(page, "captured")
    return NoteView(
        path=path,
        name=name,
        title=_text(page, "name") or _first_heading(page.body) or name,
        type=_text(page, "type") or (prefix if prefix in NOTE_TYPES else "note"),
        description=_text(page, "description"),
        body=page.body,
        tags=_tags(fields.get("tags")),
        sources=_texts(fields.get("sources")),
        confidence=_text(page, "confidence").lower(),
        pinned=_flag(fields.get("pinned")),
        provenance=_text(page, "provenance").lower() or "legacy",
        captured=captured,
        last_seen=_day(page, "last_seen") or captured,
        expires_at=_day(page, "expires_at"),
        supersedes=_text(page, "supersedes"),
        superseded_by=_text(page, "superseded_by"),
        archived=_flag(fields.get("archived")),
        degraded=next(_reasons(page), None),
        fields=dict(fields),
    )


def _reasons(page: Page) -> Iterator[str]:
    if page.degraded:
        yield page.degraded
    for key in ("captured", "last_seen", "expires_at"):
        if page.fields.get(key) is not None and not _day(page, key):
            yield f"line {key_line(page, key)}: {key} is not a date like 2026-03-01"
    for key in ("pinned", "archived"):
        value = page.fields.get(key)
        if value is not None and not isinstance(value, bool):
            yield f"line {key_line(page, key)}: {key} is neither true nor false"


def _text(page: Page, key: str) -> str:
    value = page.fields.get(key)
    if value is None or is_list(value) or is_map(value):
        return ""
    # `name: No` and `name: 1.10` are a title, not a truth value or a number.
    return value.strip() if isinstance(value, str) else written(page, key) or str(value)


def _texts(value: Any) -> tuple[str, ...]:
    if is_list(value):
        return tuple(str(item).strip() for item in value if item is not None)
    return (str(value).strip(),) if value else ()


def _tags(value: Any) -> tuple[str, ...]:
    # Editors also write `tags: one, two`.
    return _texts([part for part in value.split(",") if part.strip()] if isinstance(value, str) else value)


def _flag(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.strip().lower() in _YES)


def _day(page: Page, key: str) -> str:
    value = page.fields.get(key)
    text = value.strip()[:10] if isinstance(value, str) else ""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return ""


def _first_heading(body: str) -> str:
    for line in body.split("\n")[:_HEADING_LINES]:
        if line.startswith("# "):
            return line[2:].strip()
    return ""
