"""What memory's tools return."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from argosy_core.serving.results import Page, Result
from argosy_core.storage.base import Content
from argosy_core.views.notes import NoteView
from argosy_memory.shelves import uri_of

NoteType = Literal["user", "feedback", "project", "decision", "reference"]
Confidence = Literal["high", "medium", "low"]
Scope = Literal["notes", "wiki", "raw", "all"]
SearchMode = Literal["hybrid", "keyword", "semantic"]
RecallMode = Literal["contextual", "temporal", "sequential", "semantic"]


class Note(Result):
    """A note as it stands. *degraded* says what of its frontmatter could not be read."""

    name: str = Field(description="The file's stem")
    title: str
    type: str
    body: str
    path: str = Field(description="Relative to the vault")
    version: str
    uri: str
    frontmatter: dict[str, Any]
    degraded: str | None = None

    def render(self) -> str:
        warning = f"\n! frontmatter: {self.degraded}" if self.degraded else ""
        return f"# {self.title} [{self.name}]{warning}\n\n{self.body}"


class Written(Note):
    """A note after a write."""

    duplicate: bool = Field(default=False, description="True when nothing had to be written")

    def render(self) -> str:
        return f"{'Already there' if self.duplicate else 'Wrote'}: [{self.name}] {self.path}"


class Hit(BaseModel):
    """One document found; *snippet* marks what matched with ``**``."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    title: str
    type: str
    score: float
    snippet: str
    uri: str
    scope: str


class SearchResult(Result):
    """The best hits, best first; *mode* is how they were found."""

    hits: list[Hit]
    mode: Literal["hybrid", "keyword", "semantic"]
    truncated: bool = Field(description="More documents match than were returned")
    note: str | None = None

    def render(self) -> str:
        lines = [f"[{hit.name}] {hit.title}: {hit.snippet}" for hit in self.hits]
        if self.note:
            lines.append(f"({self.note})")
        return "\n".join(lines) or "Nothing found."


class NoteItem(Result):
    """A note in a list."""

    name: str
    title: str
    type: str
    description: str
    tags: list[str]
    pinned: bool
    last_seen: str
    uri: str

    def render(self) -> str:
        return f"[{self.name}] {self.title} — {self.description}"


class NotePage(Page[NoteItem]):
    """Notes, most recently seen first."""


class Recalled(BaseModel):
    """A note that recall chose, and why."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    why: str


class Recall(Result):
    """What to know for a task, within a token budget."""

    text: str
    used_tokens: int
    notes: list[Recalled]

    def render(self) -> str:
        return self.text or "Nothing is known about this."


class WikiPage(Result):
    """A wiki page as it stands."""

    page: str
    title: str
    body: str
    path: str
    version: str
    uri: str
    frontmatter: dict[str, Any]
    degraded: str | None = None

    def render(self) -> str:
        return f"# {self.title} [{self.page}]\n\n{self.body}"


def note_fields(note: NoteView, content: Content) -> dict[str, Any]:
    """The fields of a `Note`."""
    return {
        "name": note.name,
        "title": note.title,
        "type": note.type,
        "body": note.body,
        "path": note.path,
        "version": content.version,
        "uri": uri_of("notes", note.name),
        "frontmatter": note.fields,
        "degraded": note.degraded,
    }
