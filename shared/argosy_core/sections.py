"""The headings of a Markdown text, and what stands under each. Fenced code holds no headings.

Lines end at ``\\n``. Only ``#`` headings count, as in CommonMark: at most three spaces before and a space after.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

_LINE = re.compile(r"[^\n]*\n|[^\n]+\Z")
_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*\Z)|~{3,})(.*)", re.DOTALL)
_HEADING = re.compile(r" {0,3}(#{1,6})(?=[ \t]|\Z)")


LineKind = Literal["text", "open", "code", "close"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its ending: *number* counts from 0, *start* and *end* are its place in the text, ending included.

    *kind* tells fenced code, and the two fences around it, from text.
    """

    number: int
    text: str
    start: int
    end: int
    kind: LineKind


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: *line* counts from 0, *start* is where its line begins, *end* where what stands under it begins."""

    level: int
    text: str
    line: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Code:
    """A fenced block: *line* is that of its first fence, counted from 0."""

    info: str
    text: str
    line: int


def lines_of(text: str) -> Iterator[Line]:
    """The lines of *text*. An unclosed fence reaches to the end."""
    fence = ""
    for number, match in enumerate(_LINE.finditer(text)):
        line = match.group().rstrip("\r\n")
        found = _FENCE.fullmatch(line)
        kind: LineKind = "code" if fence else "text"
        if not fence and found:
            kind, fence = "open", found[1]
        elif fence and found and found[1].startswith(fence) and not found[2].strip():
            kind, fence = "close", ""
        yield Line(number, line, match.start(), match.end(), kind)


def code_blocks(text: str) -> list[Code]:
    """The fenced blocks of *text*, an unclosed last one too."""
    opened: list[tuple[Line, list[str]]] = []
    for line in lines_of(text):
        if line.kind == "open":
            opened.append((line, []))
        elif line.kind == "code":
            opened[-1][1].append(line.text)
    return [Code(fence.text.strip("`~ \t"), "\n".join(lines), fence.number) for fence, lines in opened]


def headings(text: str) -> list[Heading]:
    """The headings of *text* in its order."""
    found: list[Heading] = []
    for line in lines_of(text):
        match = None if line.kind != "text" else _HEADING.match(line.text)
        if match:
            title = _without_closing(line.text[match.end() :].strip(" \t"))
            found.append(Heading(len(match[1]), title, line.number, line.start, line.end))
    return found


def _without_closing(title: str) -> str:
    bare = title.rstrip("#")
    return bare.rstrip(" \t") if bare == "" or bare[-1] in " \t" else title


def end_of(heading: Heading, found: Sequence[Heading], text: str) -> int:
    """Where the section under *heading* ends: at the next heading of its level or above, or with *text*."""
    later = (h.start for h in found if h.start > heading.start and h.level <= heading.level)
    return next(later, len(text))


def section(text: str, title: str, level: int = 2) -> str | None:
    """What stands under the first heading *title* of that level, stripped; None when there is no such heading."""
    found = headings(text)
    for heading in found:
        if heading.level == level and heading.text == title:
            return text[heading.end : end_of(heading, found, text)].strip()
    return None


def fence_for(text: str) -> str:
    """A fence of backticks that nothing in *text* can close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    return "`" * max(3, longest + 1)
