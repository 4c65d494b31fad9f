"""What memory's tools return."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from argosy_core.serving.results import Page, Result
from argosy_core.storage.base import Content
from argosy_core.views.notes import NoteView
from argosy_core.yamltext import is_list
from argosy_memory.shelves import page_of, scope_of, uri_of

NoteType = Literal["user", "feedback", "project", "decision", "reference"]
Confidence = Literal["high", "medium", "low"]
Scope = Literal["notes", "wiki", "raw", "all"]
SHORT_VERSION = 8  # characters of a version that tell it from others; the name of a kept file holds as many
SOURCES_SHOWN = 3
MAX_BODY_CHARS = 400_000  # what fits a result in any script
SearchMode = Literal["hybrid", "keyword", "semantic"]
RecallMode = Literal["contextual", "temporal", "sequential", "semantic"]


_DATES = {"captured": "captured", "last_seen": "last seen", "expires_at": "expires", "archived_at": "archived"}


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
    believed: str | None = Field(default=None, description="When a note that was replaced held: from, until")
    next_offset: int | None = Field(default=None, description="Where the rest of a long body begins")

    def render(self) -> str:
        warning = f"\n! frontmatter: {self.degraded}" if self.degraded else ""
        believed = f"\n! believed {self.believed}" if self.believed else ""
        rest = f"\n… more: offset={self.next_offset}" if self.next_offset else ""
        return f"# {self.title} [{self.name}]\n({self._known()}){warning}{believed}\n\n{self.body}{rest}"

    def _known(self) -> str:
        """What a reader of the text alone needs to weigh the note, and to replace it."""
        fields = {name: value for name, value in self.frontmatter.items() if value not in (None, "", [], False)}
        parts = [self.type, *(str(fields[name]) for name in ("provenance", "confidence") if name in fields)]
        parts += [f"{word} {fields[name]}" for name, word in _DATES.items() if name in fields]
        parts += [word for word in ("pinned", "archived") if word in fields]
        sources: Any = fields.get("sources")
        parts += [f"from {'; '.join(map(str, sources[:SOURCES_SHOWN]))}"] if is_list(sources) else []
        return ", ".join([*parts, f"version {self.version[:SHORT_VERSION]}"])


class Written(Note):
    """A note after a write."""

    duplicate: bool = Field(default=False, description="True when nothing had to be written")

    def render(self) -> str:
        done = "Already there" if self.duplicate else "Wrote"
        return f"{done}: [{self.name}] {self.path} (version {self.version[:SHORT_VERSION]})"


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


class Explained(BaseModel):
    """Why a hit stands where it does. A keyword score is bm25 × recency × exactness, and hits that hold every word come
    before the others; with meaning too, the two ranks are fused."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    matched: str
    keyword_rank: int | None
    every_word: bool | None
    bm25: float | None
    recency: float | None
    exactness: float | None
    semantic_rank: int | None
    similarity: float | None
    score: float


class Freshness(BaseModel):
    """What the index knew. *waiting* writes and *filling* (done/total files) are not in it yet; *vectors_compared*
    says by whom, *not_watched* why edits are found only by comparing files."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    documents: int
    compared_seconds_ago: float | None
    watching: bool
    not_watched: str | None = None
    waiting: int
    filling: str | None
    vectors: int | None
    vectors_compared: Literal["here", "in the database"] | None = None


class Explanation(BaseModel):
    """How a search came to its hits. *relaxed*: some do not hold every word."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    hits: list[Explained]
    relaxed: bool
    index: Freshness

    def render(self) -> str:
        lines = [f"{place}. {each.name}: {each.matched} ({_shown(each)})" for place, each in enumerate(self.hits, 1)]
        index = self.index.model_dump(exclude_none=True)
        return "\n".join([*lines, "index: " + ", ".join(f"{name} {value}" for name, value in index.items())])


def _shown(each: Explained) -> str:
    fields = each.model_dump(exclude={"name", "matched"}, exclude_none=True)
    return ", ".join(f"{name} {value}" for name, value in fields.items())


def handle_of(scope: str, name: str) -> str:
    """What `memory_read` takes for a document: a text shows no URI."""
    return name if scope == "notes" else f"{scope}/{name}"


class SearchResult(Result):
    """The best hits, best first; *mode* is how they were found."""

    hits: list[Hit]
    mode: SearchMode
    truncated: bool = Field(description="More documents match than were returned")
    note: str | None = None
    explain: Explanation | None = None

    def render(self) -> str:
        lines = [f"[{handle_of(hit.scope, hit.name)}] {hit.title}: {hit.snippet}" for hit in self.hits]
        lines = lines or ["Nothing found."]
        if self.note:
            lines.append(f"({self.note})")
        if self.explain:
            lines += ["", self.explain.render()]
        return "\n".join(lines)


class NoteItem(Result):
    """A note in a list."""

    name: str
    title: str
    type: str
    description: str
    tags: list[str]
    pinned: bool = Field(description="In effect: pinned by a person, or by an agent and confirmed by a person")
    last_seen: str
    uri: str

    def render(self) -> str:
        return f"[{self.name}] {self.title} — {self.description}"


class NotePage(Page[NoteItem]):
    """Notes, most recently seen first."""

    note: str | None = None


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
    note: str | None = None

    def render(self) -> str:
        remark = f"\n\n({self.note})" if self.note else ""
        return (self.text or "Nothing is known about this.") + remark


def note_fields(note: NoteView, content: Content, offset: int = 0, most: int = MAX_BODY_CHARS) -> dict[str, Any]:
    """The fields of a `Note`; of its body *most* characters from *offset*."""
    scope = scope_of(note.path)
    name = note.name if scope == "notes" else page_of(note.path)
    end = offset + most
    return {
        "name": name,
        "title": note.title,
        "type": note.type,
        "body": note.body[offset:end],
        "path": note.path,
        "version": content.version,
        "uri": uri_of(scope, name),
        "frontmatter": note.fields,
        "degraded": note.degraded,
        "next_offset": end if end < len(note.body) else None,
    }
