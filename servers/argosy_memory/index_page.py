"""``memory/INDEX.md``: a projection of the notes for people and for the context, never read back as truth.

The generated block stands between two marker comments; everything outside it is a person's and is kept. A note that the
person's own lines already link is not listed a second time.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from pathlib import PurePosixPath

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError, NotFound
from argosy_core.index.documents import Entry
from argosy_core.index.library import Library, StillFilling
from argosy_core.storage.base import ABSENT, Files

BEGIN, END = "<!-- argosy:index -->", "<!-- /argosy:index -->"
DELAY_SECONDS = 1.0  # after the last write; the promise is 2 s
LONGEST_DELAY_SECONDS = 15.0  # while writes do not end
MOST_LISTED = 5_000
MAX_LINE_CHARS = 150
TRIES = 5
PATIENCE_SECONDS = 1.5
SECTIONS = (
    ("feedback", "Critical Feedback"),
    ("decision", "Locked Decisions"),
    ("user", "User Profile"),
    ("project", "Active Projects"),
    ("reference", "Reference"),
)
ARCHIVE = "Archive (superseded)"
_LINKED = re.compile(r"\]\(([^)\s]+\.md)\)|\[\[([^\]|#\n]+)")


def render_block(entries: Sequence[Entry], total: int, today: str) -> str:
    """The generated block for *entries*, newest first within each section."""
    live, archived = list[Entry](), list[Entry]()
    for entry in entries:
        (archived if entry.hidden or (entry.expires and entry.expires < today) else live).append(entry)
    known = {type_ for type_, _ in SECTIONS}
    groups = [(title, [e for e in live if e.type == type_]) for type_, title in SECTIONS]
    groups.append(("Other", [e for e in live if e.type not in known]))
    groups.append((ARCHIVE, archived))
    parts = [BEGIN]
    if total > len(entries):
        parts += ["", f"The newest {len(entries)} of {total} notes; memory_search finds the others."]
    for title, members in groups:
        if members:
            parts += ["", f"## {title}", "", *(_line(entry) for entry in members)]
    return "\n".join([*parts, "", END])


def _line(entry: Entry) -> str:
    title = entry.title.replace("[", "(").replace("]", ")")
    line = f"- [{title}]({_file_name(entry)})"
    text = " ".join(entry.description.split())
    room = MAX_LINE_CHARS - len(line) - 3
    if not text or room < 20:
        return line
    return f"{line} — {text if len(text) <= room else text[: room - 1].rstrip() + '…'}"


def _file_name(entry: Entry) -> str:
    return entry.path.rsplit("/", 1)[-1]


def linked_by_hand(page: str) -> set[str]:
    """The file names that a person's own lines link."""
    own = page[: page.find(BEGIN)] + page[page.find(END) :] if BEGIN in page else page
    found = {link or f"{name.strip()}.md" for link, name in _LINKED.findall(own)}
    return {PurePosixPath(name).name for name in found}


def with_block(page: str, block: str, agent: str) -> str:
    """*page* with its generated block replaced, or added at the end."""
    if not page.strip():
        return f"# {agent} — Memory Index\n\n{block}\n"
    begin, end = page.find(BEGIN), page.find(END)
    if begin < 0 or end < begin:
        return f"{page.rstrip()}\n\n{block}\n"
    return f"{page[:begin]}{block}{page[end + len(END) :]}"


class IndexPages:
    """Rebuilds the pages of agents whose notes changed, soon after, in a thread of its own."""

    def __init__(self, files: Files, library: Library, clock: Clock) -> None:
        self._files = files
        self._library = library
        self._clock = clock
        self._waiting: set[str] = set()
        self._first = self._last = 0.0  # when the first and the last that wait were marked
        self._guard = threading.Lock()
        self._timer: threading.Timer | None = None

    def mark(self, agent: str) -> None:
        """Say that a note of *agent* changed. Never blocks."""
        with self._guard:
            self._waiting.add(agent)
            self._last = self._clock.monotonic()
            if self._timer is None:
                self._first = self._last
                self._set_timer(DELAY_SECONDS)

    def _set_timer(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._due)
        self._timer.daemon = True
        self._timer.start()

    def _due(self) -> None:
        """While writes come one after the other the page waits for their end: it costs as much as many of them."""
        with self._guard:
            quiet = self._clock.monotonic() - self._last
            if quiet < DELAY_SECONDS and self._last - self._first < LONGEST_DELAY_SECONDS:
                self._set_timer(DELAY_SECONDS - quiet)
                return
        self.flush()

    def flush(self) -> None:
        """Rebuild what waits, now."""
        with self._guard:
            agents, self._waiting = self._waiting, set()
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        for agent in sorted(agents):
            try:
                self.rebuild(agent)
            except StillFilling:
                self.mark(agent)  # a page of a part of the notes would mislead, so it waits
            except ArgosyError:
                continue  # a projection: the next write, or the doctor, tries again

    def rebuild(self, agent: str) -> None:
        """Bring *agent*'s page in line with its notes; a page that would not change is not touched."""
        path = f"{agent}/memory/INDEX.md"
        for _ in range(TRIES):
            entries, total = self._entries(agent)  # anew each time: who was faster may have known of more notes
            try:
                old = self._files.read(path)
            except NotFound:
                old = None
            page = old.data.decode("utf-8", "replace") if old else ""
            by_hand = linked_by_hand(page)
            mine = [e for e in entries if _file_name(e) not in by_hand]
            block = render_block(mine, total - len(entries) + len(mine), self._clock.now().date().isoformat())
            data = with_block(page, block, agent).encode()
            if old is not None and data == old.data:
                return
            try:
                self._files.replace(path, data, expect=old.version if old else ABSENT)
                return
            except ArgosyError as error:
                if error.code not in ("conflict", "already_exists"):
                    raise

    def _entries(self, agent: str) -> tuple[list[Entry], int]:
        index = self._library.whole(agent, ("notes",), PATIENCE_SECONDS)
        found: list[Entry] = []
        cursor: str | None = None
        while len(found) < MOST_LISTED:
            page = index.list(agent=agent, scope="notes", hidden=None, limit=500, cursor=cursor)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        return found[:MOST_LISTED], index.counts(agent).get("notes", len(found))
