"""Foreign pages as files of ours: names, heads, links."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from argosy_core.canonical import arguments_hash, sha256_hex
from argosy_core.errors import ArgosyError
from argosy_core.frontmatter import edit, render
from argosy_core.names import MAX_NAME_BYTES, check_new_name, shorten, slug
from argosy_host.importing.foreign import Into, Page

MAX_TITLE_CHARS = 80
MAX_DESCRIPTION_CHARS = 200
MAX_NOTE_BYTES = 512 * 1024  # a longer text becomes a wiki page
MAX_FOLDERS = 20
MOST_NAMESAKES = 99
_LINK = re.compile(r"(?<!!)\[\[([^\]|#\n]+)(#[^\]|\n]*)?(?:\|([^\]\n]*))?\]\]")
_MARKS = re.compile(r"[*_`#>\[\]]")


def folder_for(page: Page, into: Into) -> Into:
    """Where *page* goes of what was asked for."""
    return "wiki" if into == "notes" and len(page.body.encode()) > MAX_NOTE_BYTES else into


def digest_of(page: Page) -> str:
    """Changes when the page changes at its source."""
    return arguments_hash({"title": page.title, "body": page.text or page.body})[:32]


def paths_for(agent: str, page: Page, into: Into) -> Iterator[str]:
    """Where the page may stand: its own name first, then the numbered ones of namesakes."""
    if into == "notes":
        base = slug(page.title[:MAX_TITLE_CHARS]) or f"note_{sha256_hex(page.id.encode())[:8]}"
        stem = f"{agent}/memory/{page.type}_{shorten(base, MAX_NAME_BYTES - len(page.type) - 12)}"
    else:
        *folders, name = [_component(part) for part in page.place.split("/")]
        stem = "/".join([agent, "wiki", *folders[:MAX_FOLDERS], name])
    yield f"{stem}.md"
    yield from (f"{stem}_{number}.md" for number in range(2, MOST_NAMESAKES + 1))


def _component(part: str) -> str:
    """*part* as the name of a folder or page; another one where ours cannot have it."""
    short = part.encode()[: MAX_NAME_BYTES - 12].decode("utf-8", "ignore").strip(" .")
    try:
        return check_new_name(short)
    except ArgosyError:
        return slug(short) or f"page_{sha256_hex(part.encode())[:8]}"


def note_text(page: Page, names: Mapping[str, str], source: str, today: str) -> str:
    """The file of a note; links to pages in *names* (by folded name) lead to them."""
    title = page.title[:MAX_TITLE_CHARS]
    body = with_links(page.body.strip(), names)
    if len(page.title) > MAX_TITLE_CHARS and not body.startswith("# "):
        body = f"# {page.title}\n\n{body}"
    day = page.day or today
    return render(
        {
            "schema_version": 1,
            "name": title,
            "description": page.description or first_words(body),
            "type": page.type,
            "captured": day,
            "last_seen": day,
            "sources": [source],
            "confidence": "medium",
            "pinned": False,
            "expires_at": None,
            "supersedes": None,
            "superseded_by": None,
            "tags": list(page.tags),
            "provenance": "observed",
            "imported": imported(page, source, today, with_fields=True),
        },
        body + "\n",
    )


def wiki_text(page: Page, source: str, today: str) -> str:
    """The file of a wiki page. What its author wrote stays byte for byte; the head gets where it came from."""
    marks = {"sources": [source], "imported": imported(page, source, today, with_fields=page.text is None)}
    if page.text is not None:
        try:
            return edit(page.text, marks)
        except ArgosyError:
            return page.text  # a head too large to add to: the log says where it came from
    head = {"schema_version": 1, "name": page.title[:MAX_TITLE_CHARS], "type": "wiki_page", "tags": list(page.tags)}
    day = page.day or today
    return render({**head, "captured": day, "last_seen": day, **marks}, page.body.strip() + "\n")


def imported(page: Page, source: str, today: str, *, with_fields: bool) -> dict[str, Any]:
    """What a page says of where it came from, and *with_fields* what else was said of it there."""
    found: dict[str, Any] = {"from": source, "at": today, "sha256": digest_of(page)}
    return {**found, "fields": dict(page.fields)} if page.fields and with_fields else found


def with_links(body: str, names: Mapping[str, str]) -> str:
    """*body* with its ``[[links]]`` to pages in *names* leading to their new names; what is shown stays."""

    def changed(match: re.Match[str]) -> str:
        target, heading, shown = match[1].strip(), match[2] or "", match[3]
        name = names.get(target.casefold())
        if name is None or name == target:
            return match[0]
        return f"[[{name}{heading}|{shown or target}]]"

    return _LINK.sub(changed, body)


def first_words(body: str) -> str:
    """A description for a page that was given none: its first line that says something."""
    for line in body.split("\n"):
        if line.startswith("#"):
            continue
        plain = " ".join(_MARKS.sub("", line).removeprefix("- ").split())
        if plain:
            if len(plain) <= MAX_DESCRIPTION_CHARS:
                return plain
            return plain[: MAX_DESCRIPTION_CHARS - 1].rsplit(" ", 1)[0] + "…"
    return ""
