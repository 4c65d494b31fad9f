"""A note as the older format writes it: YAML frontmatter, then Markdown (`vault.md`; atomic-agents-stack 2.0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from argosy_core.frontmatter import parse

NOTE_TYPES = ("user", "feedback", "project", "decision", "reference")


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
    def hidden(self) -> bool:
        """Whether the note has left recall for good: archived, superseded or disputed."""
        return self.archived or bool(self.superseded_by) or self.provenance in ("disputed", "superseded")

    def is_live(self, today: str) -> bool:
        """Whether recall may use the note on the ISO date *today*."""
        return not self.hidden and not (self.expires_at and self.expires_at < today)


def read_note(path: str, text: str) -> NoteView:
    """The note in *text*. Never fails: what cannot be read is named in `NoteView.degraded`."""
    page = parse(text)
    fields = page.fields
    name = path.rsplit("/", 1)[-1].removesuffix(".md")
    prefix = name.split("_", 1)[0]
    return NoteView(
        path=path,
        name=name,
        title=_text(fields.get("name")) or _first_heading(page.body) or name,
        type=_text(fields.get("type")) or (prefix if prefix in NOTE_TYPES else "note"),
        description=_text(fields.get("description")),
        body=page.body,
        tags=_texts(fields.get("tags")),
        sources=_texts(fields.get("sources")),
        confidence=_text(fields.get("confidence")),
        pinned=fields.get("pinned") is True,
        provenance=_text(fields.get("provenance")) or "legacy",
        captured=_text(fields.get("captured"))[:10],
        last_seen=(_text(fields.get("last_seen")) or _text(fields.get("captured")))[:10],
        expires_at=_text(fields.get("expires_at"))[:10],
        supersedes=_text(fields.get("supersedes")),
        superseded_by=_text(fields.get("superseded_by")),
        archived=fields.get("archived") is True,
        degraded=page.degraded,
        fields=dict(fields),
    )


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, list | dict) else str(value).strip()


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(str(item) for item in value if item is not None)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return (str(value),) if value else ()


def _first_heading(body: str) -> str:
    for line in body.splitlines()[:20]:
        if line.startswith("# "):
            return line[2:].strip()
    return ""
