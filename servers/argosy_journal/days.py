"""The form of a day's file: ``# <day>``, then entries under ``## HH:MM`` headings. People write here too.

Text before the first such heading, or a file without any, is read as entries without a time, split at blank lines as
the older system writes them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

FOLDER = "journal"
_HEADING = re.compile(r"^##\s+(\d{1,2}:\d{2})\b[ \t]*(.*)$", re.MULTILINE)
_KEY = re.compile(r"^<!-- key: (.*?) -->$", re.MULTILINE)
_TAG = re.compile(r"#(\w[\w/-]*)")
_DAY_TITLE = re.compile(r"\A\s*#\s+\d{4}-\d{2}-\d{2}\s*$", re.MULTILINE)


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
    """The day whose file *path* is; None when it is no day's file."""
    name = path.rsplit("/", 1)[-1].removesuffix(".md")
    try:
        return date.fromisoformat(name)
    except ValueError:
        return None


def parse_day(content: str) -> list[Passage]:
    """The entries of one day's file, in its order. Never fails: any text is somebody's entry."""
    content = _DAY_TITLE.sub("", content, count=1)
    heads = list(_HEADING.finditer(content))
    before = content[: heads[0].start()] if heads else content
    found = [_passage("", "", block) for block in re.split(r"\n\s*\n", before) if block.strip()]
    for head, following in zip(heads, [*heads[1:], None], strict=False):
        body = content[head.end() : following.start() if following else len(content)]
        found.append(_passage(head[1].zfill(5), head[2], body))
    return [p for p in found if p.text]


def _passage(time: str, remark: str, body: str) -> Passage:
    key = _KEY.search(body)
    return Passage(time, _KEY.sub("", body).strip(), tuple(_TAG.findall(remark)), key[1] if key else None)


def render_entry(moment: datetime, text: str, tags: Sequence[str], key: str | None) -> str:
    """An entry as it is written into a day's file."""
    heading = " ".join([f"## {moment:%H:%M}", *(f"#{tag}" for tag in tags)])
    mark = f"<!-- key: {key} -->\n" if key else ""
    return f"{heading}\n{mark}{text.strip()}\n"


def add_entry(content: str, day: date, entry: str) -> str:
    """A day's file with *entry* at its end; what a person wrote stays as it is."""
    if not content.strip():
        return f"# {day:%Y-%m-%d}\n\n{entry}"
    gap = "\n" if content.endswith("\n") else "\n\n"
    return f"{content}{gap}{entry}"
