"""The rules of notes: how a new one looks, what a merge does, what a title is filed under."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from argosy_core.canonical import arguments_hash
from argosy_core.errors import InvalidArgument, TooLarge
from argosy_core.frontmatter import edit, render
from argosy_core.names import MAX_NAME_BYTES, shorten, slug
from argosy_core.types import Caller, Role
from argosy_core.views.notes import NOTE_TYPES, NoteView
from argosy_memory.shelves import MAX_DESCRIPTION_CHARS, MAX_TITLE_CHARS

MAX_BODY_BYTES = 512 * 1024
MAX_LIST = 100
MOST_NAMESAKES = 99
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+")


@dataclass(frozen=True, slots=True)
class Draft:
    """What a caller wants written, checked."""

    type: str
    title: str
    body: str
    description: str | None
    tags: tuple[str, ...] | None
    sources: tuple[str, ...] | None
    confidence: str | None
    pinned: bool | None
    expires_at: str | None
    supersedes: str | None = None
    merge_into: str | None = None

    @property
    def fingerprint(self) -> str:
        """What a repeated key is compared by."""
        return arguments_hash(asdict(self))


def check_draft(draft: Draft) -> Draft:
    """*draft* with title and body trimmed. Raises InvalidArgument or TooLarge, naming the field."""
    title, body = composed(" ".join(draft.title.split())), draft.body.strip()
    if draft.type not in NOTE_TYPES:
        raise InvalidArgument(f"type is one of {', '.join(NOTE_TYPES)}")
    if not title or len(title) > MAX_TITLE_CHARS:
        raise InvalidArgument(f"a title has 1 to {MAX_TITLE_CHARS} characters", hint="put the rest into the body")
    if not body:
        raise InvalidArgument("a note needs a body", hint="say what to remember")
    if len(body.encode("utf-8", "surrogatepass")) > MAX_BODY_BYTES:
        raise TooLarge(f"a note's body has at most {MAX_BODY_BYTES // 1024} KiB", hint="split it, or put it into raw/")
    if draft.description is not None and len(draft.description) > MAX_DESCRIPTION_CHARS:
        raise InvalidArgument(f"a description has at most {MAX_DESCRIPTION_CHARS} characters", hint="shorten it")
    check_list("tags", draft.tags)
    check_list("sources", draft.sources)
    check_utf8(title, body, draft.description or "", *(draft.tags or ()), *(draft.sources or ()))
    if draft.expires_at is not None:
        _check_date(draft.expires_at)
    if draft.merge_into is not None and draft.supersedes is not None:
        raise InvalidArgument("merge_into and supersedes exclude each other", hint="choose one")
    return replace(draft, title=title, body=body)


def check_list(name: str, values: Sequence[str] | None) -> None:
    """Raises InvalidArgument unless *values* are few and one-line texts."""
    if values is not None and (len(values) > MAX_LIST or any(not each.strip() or "\n" in each for each in values)):
        raise InvalidArgument(f"{name} holds at most {MAX_LIST} one-line texts")


def check_utf8(*texts: str) -> None:
    """Raises InvalidArgument when one of *texts* holds a lone surrogate."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as exc:
        raise InvalidArgument("the text holds half of a character pair", hint="send valid Unicode") from exc


def _check_date(text: str) -> None:
    try:
        date.fromisoformat(text)
    except ValueError as exc:
        raise InvalidArgument(f"expires_at is not a date: {text[:40]!r}", hint="write YYYY-MM-DD") from exc


def composed(title: str) -> str:
    """*title* as it is compared: a letter with an accent is the same as the letter and the accent (NFC)."""
    return unicodedata.normalize("NFC", title)


def file_stems(type_: str, title: str) -> Iterator[str]:
    """Where a note of this type and title may stand: its own stem first, then the numbered ones of namesakes."""
    base = slug(title) or f"note_{arguments_hash({'title': title})[:8]}"
    stem = f"{type_}_{shorten(base, MAX_NAME_BYTES - len(type_) - 12)}"
    yield stem
    yield from (f"{stem}_{number}" for number in range(2, MOST_NAMESAKES + 1))


def new_note(path: str, draft: Draft, caller: Caller, today: str, supersedes: str | None) -> tuple[str, NoteView]:
    """The file of a new note, and what `read_note` makes of it: reading it back would cost a third of writing it."""
    fields: dict[str, Any] = {
        "schema_version": 1,
        "name": draft.title,
        "description": draft.description or describe(draft.body),
        "type": draft.type,
        "captured": today,
        "last_seen": today,
        "sources": list(draft.sources or ("observation",)),
        "confidence": draft.confidence or "medium",
        "pinned": bool(draft.pinned),
        "expires_at": draft.expires_at,
        "supersedes": supersedes,
        "superseded_by": None,
        "tags": list(draft.tags or ()),
        "provenance": provenance_of(draft, caller),
    }
    body = draft.body + "\n"
    view = NoteView(
        path=path,
        name=path.rsplit("/", 1)[-1].removesuffix(".md"),
        title=draft.title,
        type=draft.type,
        description=str(fields["description"]).strip(),
        body=body,
        tags=tuple(tag.strip() for tag in fields["tags"]),
        sources=tuple(source.strip() for source in fields["sources"]),
        confidence=fields["confidence"],
        pinned=fields["pinned"],
        provenance=fields["provenance"],
        captured=today,
        last_seen=today,
        expires_at=draft.expires_at or "",
        supersedes=supersedes or "",
        superseded_by="",
        archived=False,
        degraded=None,
        fields=fields,
    )
    return render(fields, body), view


def provenance_of(draft: Draft, caller: Caller) -> str:
    """How much a note weighs as evidence: only a person confirms."""
    if caller.role is Role.OPERATOR:
        return "confirmed"
    return "observed" if draft.sources else "generated"


def provenance_after(note: NoteView, draft: Draft, caller: Caller) -> str | None:
    """The mark of *note* after *caller* changed its text; None when it stays.

    What a person confirmed or wrote vouches for the words they saw, not for an agent's.
    """
    if caller.role is Role.OPERATOR or note.provenance not in ("confirmed", "legacy"):
        return None
    return provenance_of(draft, caller)


def first_sentence(body: str) -> str:
    """The first sentence of *body* in plain text, cut where it is long."""
    plain = " ".join(re.sub(r"[*_`#>\[\]]", "", body).split())
    sentence = _SENTENCE_END.split(plain, maxsplit=1)[0]
    if len(sentence) <= MAX_DESCRIPTION_CHARS:
        return sentence
    return sentence[: MAX_DESCRIPTION_CHARS - 1].rsplit(" ", 1)[0] + "…"


def same_content(note: NoteView, draft: Draft, superseded: str | None) -> bool:
    """Whether writing *draft* over *note* would change nothing that the caller named."""
    if note.title != draft.title or note.type != draft.type or note.body.strip() != draft.body:
        return False
    named: Mapping[str, tuple[Any, Any]] = {
        "description": (draft.description, note.description),
        "tags": (draft.tags, note.tags),
        "sources": (draft.sources, note.sources),
        "confidence": (draft.confidence, note.confidence),
        "pinned": (draft.pinned, note.pinned),
        "expires_at": (draft.expires_at, note.expires_at),
        "supersedes": (superseded, note.supersedes),
    }
    return all(wanted is None or wanted == there for wanted, there in named.values())


def merged_page(text: str, note: NoteView, draft: Draft, caller: Caller, today: str) -> str:
    """*text* with the new body under a dated heading; the old body and both lists of sources stay."""
    changes: dict[str, Any] = {"last_seen": today, "sources": _union(note.sources, draft.sources)}
    if (mark := provenance_after(note, draft, caller)) is not None:
        changes["provenance"] = mark
    if draft.tags:
        changes["tags"] = _union(note.tags, draft.tags)
    changes |= _named_changes(draft)
    return f"{edit(text, changes).rstrip()}\n\n## {today}\n\n{draft.body}\n"


def replaced_page(text: str, note: NoteView, draft: Draft, caller: Caller, today: str, superseded: str | None) -> str:
    """*text* with another body and what else the caller named; a person's other fields and formatting stay."""
    changes: dict[str, Any] = {"last_seen": today}
    if (mark := provenance_after(note, draft, caller)) is not None:
        changes["provenance"] = mark
    if superseded is not None:
        changes["supersedes"] = superseded
    changes |= described_anew(note, draft.body)
    if draft.title != note.title:
        changes["name"] = draft.title
    if draft.tags is not None:
        changes["tags"] = list(draft.tags)
    if draft.sources is not None:
        changes["sources"] = list(draft.sources)
    changes |= _named_changes(draft)
    return with_body(edit(text, changes), note.body, draft.body)


def described_anew(note: NoteView, body: str) -> dict[str, str]:
    """The description that *body* gives, where the one there was made of the body before it."""
    return {"description": describe(body)} if note.description == describe(note.body) else {}


def describe(body: str) -> str:
    """A description of a text that was given none: its first sentence, headings left out."""
    prose = "\n".join(line for line in body.split("\n") if not line.startswith("#"))
    return first_sentence(prose if prose.strip() else body)


def with_body(text: str, old: str, new: str) -> str:
    """*text* with *new* in the place of its body, which is *old*."""
    head = text[: len(text) - len(old)] if old and text.endswith(old) else text
    return f"{head}{new}\n"


def _named_changes(draft: Draft) -> dict[str, Any]:
    named = {
        "description": draft.description,
        "confidence": draft.confidence,
        "pinned": draft.pinned,
        "expires_at": draft.expires_at,
    }
    return {name: value for name, value in named.items() if value is not None}


def _union(old: Sequence[str], new: Sequence[str] | None) -> list[str]:
    return list(dict.fromkeys((*old, *(new or ()))))
