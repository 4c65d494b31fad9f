"""The form of a day's file: ``# <day>``, then entries under ``## HH:MM`` headings. People write here too.

Text before the first such heading, or a file without any, is read as entries without a time, split at blank lines as
the older system writes them; a heading of another kind goes with what follows it, and a frontmatter block is no entry.
A line of an entry that would read as a heading or a key is written with a backslash before it, as Markdown does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from argosy_core.errors import ArgosyError
from argosy_core.frontmatter import parse

FOLDER = "journal"
_HEADING = re.compile(r"^##[ \t]+(\d{1,2}:\d{2})\b[ \t]*(.*)$", re.MULTILINE)
_LIKE_HEADING = re.compile(r"^(\\*##[ \t]+\d{1,2}:\d{2}\b)", re.MULTILINE)
_ESCAPED_HEADING = re.compile(r"^\\(\\*##[ \t]+\d{1,2}:\d{2}\b)", re.MULTILINE)
_KEY = re.compile(r"\A\s*?<!-- key: (.*?) -->[ \t]*\r?(?:\n|\Z)")
_LIKE_KEY = re.compile(r"\A(\\*<!-- key: .*? -->)")
_ESCAPED_KEY = re.compile(r"\A\\(\\*<!-- key: .*? -->)")
_TAG = re.compile(r"#(\w[\w/-]*)")
_DAY_TITLE = re.compile(r"\A\s*#\s+\d{4}-\d{2}-\d{2}\s*$", re.MULTILINE)
_ONLY_HEADING = re.compile(r"#{1,6}[ \t][^\n]*")
_BLANK_LINES = re.compile(r"\n[ \t\r]*\n")
_ADDED = re.compile(rb"\n{1,2}## \d\d:\d\d(?: #[^\n]*)?\n")  # how `addition` begins
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_DAY_IN_NAME = re.compile(r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)")


@dataclass(frozen=True, slots=True)
class Passage:
    """One entry of a day as it stands in the file."""

    time: str
    text: str
    tags: tuple[str, ...]
    key: str | None


def path_of(agent: str, day: date) -> str:
    """Where *day* of *agent* is kept."""
    return f"{agent}/{FOLDER}/{day:%Y-%m}/{day:%Y-%m-%d}.md"


def day_of(path: str) -> date | None:
    """The day in the name of the file *path*; None when its name has none."""
    name = path.rsplit("/", 1)[-1]
    for found in _DAY_IN_NAME.findall(name):
        try:
            return date.fromisoformat(found)
        except ValueError:
            continue
    return None


def day_of_stamp(mtime_ns: int) -> date:
    """The day a file was last written, for one whose name has none."""
    return datetime.fromtimestamp(mtime_ns / 1e9, UTC).date()


def decode_day(data: bytes) -> str:
    """The text of a day's file. Never fails: what is no UTF-8 is shown as �."""
    if data.startswith(_UTF_16):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "replace")


def parse_day(content: str) -> list[Passage]:
    """The entries of one day's file, in its order. Never fails: any text is somebody's entry."""
    content = _DAY_TITLE.sub("", _without_head(content), count=1)
    heads = list(_HEADING.finditer(content))
    before = content[: heads[0].start()] if heads else content
    found = [Passage("", block, (), None) for block in _blocks(before)]
    for head, following in zip(heads, [*heads[1:], None], strict=False):
        body = content[head.end() : following.start() if following else len(content)]
        found.append(_passage(head[1].zfill(5), head[2], body))
    return [p for p in found if p.text]


def parse_on(before: bytes, known: Sequence[Passage], data: bytes) -> Sequence[Passage]:
    """The entries in *data*, given that those in *before* are *known*: what was only added to is not read again."""
    if data == before:
        return known
    added = data[len(before) :]
    # A head that was not closed might be closed by what follows; then all of it is read otherwise.
    grew = before and data.startswith(before) and not before.startswith((b"---", *_UTF_16))
    if grew and _ADDED.match(added):
        return [*known, *parse_day(added.decode("utf-8", "replace"))]
    return parse_day(decode_day(data))


def _without_head(content: str) -> str:
    if not content.startswith("---"):
        return content
    try:
        return parse(content).body
    except ArgosyError:
        return content


def _blocks(text: str) -> list[str]:
    """*text* split at blank lines, a heading together with the block after it."""
    found: list[str] = []
    heading = ""
    for block in _BLANK_LINES.split(text):
        block = block.strip()
        if _ONLY_HEADING.fullmatch(block):
            heading += f"{block}\n"
        elif block:
            found.append(heading + block)
            heading = ""
    return [*found, heading.strip()] if heading else found


def _passage(time: str, remark: str, body: str) -> Passage:
    key = _KEY.match(body)
    text = body[key.end() :] if key else body
    text = _ESCAPED_HEADING.sub(r"\1", text.strip())
    text = text if key else _ESCAPED_KEY.sub(r"\1", text)
    return Passage(time, text.strip(), tuple(_TAG.findall(remark)), key[1] if key else None)


def render_entry(moment: datetime, text: str, tags: Sequence[str], key: str | None) -> str:
    """An entry as it is written into a day's file."""
    heading = " ".join([f"## {moment:%H:%M}", *(f"#{tag}" for tag in tags)])
    body = _LIKE_HEADING.sub(r"\\\1", text.strip())
    body = body if key else _LIKE_KEY.sub(r"\\\1", body)
    return f"{heading}\n{key_mark(key) if key else ''}{body}\n"


def key_mark(key: str) -> str:
    """The line under an entry's heading that says its key."""
    return f"<!-- key: {key} -->\n"


def entry_of_key(data: bytes, key: str) -> Passage | None:
    """The entry of *key* in a day's file; None when there is none."""
    if f"<!-- key: {key} -->".encode() not in data:  # nearly always, and much cheaper than reading all entries
        return None
    return next((p for p in parse_day(decode_day(data)) if p.key == key), None)


def addition(data: bytes, day: date, entry: str) -> bytes:
    """What stands behind *data*, a day's file, when *entry* is added; what a person wrote stays byte for byte."""
    if not data.strip():
        return f"# {day:%Y-%m-%d}\n\n{entry}".encode()
    return (("\n" if data.endswith(b"\n") else "\n\n") + entry).encode()
