"""Markdown cut into what the policy files are made of: sections, fenced blocks and list items, each with its line.

Only that much of CommonMark is read. What stands in a fence or an HTML comment is no heading and no list item.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$")
_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})[ \t]*([^`]*)$")
BULLET = re.compile(r"([ \t]*)(?:[-*+•·–—]|\d{1,3}[.)])[ \t]+(.*)$")  # also what editors make of a dash
_COMMENT = re.compile(r"<!--.*?-->")
_REMARK = re.compile(r"\s[—–(#]|\s-\s|:(?:\s|$)")
_LINK = re.compile(r"!?\[([^\]\[]*)\]\([^()\s]*\)")
_MARKUP = re.compile(r"\*{1,3}|`+|(?<!\w)_{1,2}(?=\S)|(?<=\S)_{1,2}(?!\w)")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of prose or list."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block: its info string, its text without the fence's indentation, and the line its text begins on."""

    info: str
    text: str
    line: int

    @property
    def language(self) -> str:
        """The first word of the info string, in lower case."""
        return (self.info.split() or [""])[0].lower()


@dataclass(frozen=True, slots=True)
class Bullet:
    """A list item with the lines that continue it, joined by a space."""

    line: int
    text: str
    indent: int


@dataclass(frozen=True, slots=True)
class Section:
    """What stands under one heading, up to the next of any level. *level* 0 is what stands before the first."""

    title: str
    level: int
    line: int
    lines: tuple[Line, ...]
    fences: tuple[Fence, ...]

    @property
    def name(self) -> str:
        """The title in lower case, without markup and remark: ``Write paths (own folder ONLY)`` is ``write paths``."""
        title = tidy(self.title).strip()
        cut = _REMARK.search(title)
        return " ".join(title[: cut.start() if cut else None].casefold().replace("-", " ").split())


@dataclass(frozen=True, slots=True)
class Document:
    """All sections of a text; *open_line* is where a fence or comment begins that never ends."""

    sections: tuple[Section, ...]
    open_line: int | None = None

    def named(self, *names: str) -> tuple[Section, ...]:
        """The sections with one of these names (see `Section.name`)."""
        return tuple(section for section in self.sections if section.name in names)


def read_markdown(text: str, first_line: int = 1) -> Document:
    """*text* in sections; its first line is counted as *first_line*."""
    scan = _Scan()
    for number, line in enumerate(text.split("\n"), first_line):
        scan.take(number, line.removesuffix("\r"))
    return scan.finish()


def bullets(lines: Iterable[Line]) -> list[Bullet]:
    """The list items in *lines*."""
    found: list[Bullet] = []
    open_item = False
    for line in lines:
        match = BULLET.match(line.text)
        if match:
            found.append(Bullet(line.number, match[2].strip(), _width(match[1])))
        elif open_item and line.text.strip() and line.text[0] in " \t":
            last = found[-1]
            found[-1] = Bullet(last.line, f"{last.text} {line.text.strip()}", last.indent)
        open_item = bool(found) and bool(line.text.strip()) and (bool(match) or line.text[0] in " \t")
    return found


def paragraphs(lines: Iterable[Line]) -> list[str]:
    """The prose in *lines*, one string a paragraph: no lists, tables, quotes or rules."""
    found: list[str] = []
    words: list[str] = []
    for line in (*lines, Line(0, "")):
        text = line.text.strip()
        if text and not BULLET.match(line.text) and text[0] not in "|>" and text.strip("-*_= "):
            words.append(text)
        elif words:
            found.append(" ".join(words))
            words = []
    return found


def tidy(text: str) -> str:
    """*text* without emphasis, code marks and link targets."""
    return _MARKUP.sub("", _LINK.sub(r"\1", text))


def code_spans(text: str) -> list[str]:
    """What stands in single backticks in *text*."""
    return [part for part in text.split("`")[1::2] if part.strip()]


class _Scan:
    def __init__(self) -> None:
        self._sections: list[Section] = []
        self._heading = ("", 0, 1)
        self._lines: list[Line] = []
        self._fences: list[Fence] = []
        self._fence: tuple[str, str, str, int] | None = None  # indentation, marker, info, line
        self._content: list[str] = []
        self._comment: int | None = None

    def take(self, number: int, line: str) -> None:
        if self._fence:
            self._in_fence(line)
        elif self._comment is not None:
            self._comment = None if "-->" in line else self._comment
        elif match := _FENCE.match(line):
            self._fence, self._content = (match[1], match[2], match[3].strip(), number), []
        else:
            self._outside(number, _COMMENT.sub("", line))

    def finish(self) -> Document:
        open_line = self._fence[3] if self._fence else self._comment
        if self._fence:
            self._close_fence()
        self._close_section()
        return Document(tuple(self._sections), open_line)

    def _outside(self, number: int, line: str) -> None:
        if line.lstrip().startswith("<!--"):
            self._comment = number
        elif match := _HEADING.match(line):
            self._close_section()
            self._heading = ((match[2] or "").strip().rstrip("#").rstrip(), len(match[1]), number)
        else:
            self._lines.append(Line(number, line))

    def _in_fence(self, line: str) -> None:
        assert self._fence
        indent, marker, _, _ = self._fence
        end = line.strip()
        if end.startswith(marker) and not end.strip(marker[0]):
            self._close_fence()
        else:
            self._content.append(line.removeprefix(indent))

    def _close_fence(self) -> None:
        assert self._fence
        text = "".join(line + "\n" for line in self._content)
        self._fences.append(Fence(self._fence[2], text, self._fence[3] + 1))
        self._fence = None

    def _close_section(self) -> None:
        self._sections.append(Section(*self._heading, tuple(self._lines), tuple(self._fences)))
        self._lines, self._fences = [], []


def _width(indent: str) -> int:
    return len(indent.expandtabs(4))
