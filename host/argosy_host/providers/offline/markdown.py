"""Markdown to quotable units: marks are taken off, no word is added or moved."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff]")
# Only tags that dress text: `run <agent>` must keep its placeholder.
_TAGS = "a|b|br|code|details|div|em|font|i|img|kbd|mark|p|s|small|span|strong|sub|summary|sup|u"
# Every pattern is linear in its line: a note is not to be trusted, and this runs on the event loop.
# A mark that its pattern cannot do without, the pattern, what stays.
_MARKUP: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("<!--", re.compile(r"<!--.{0,400}?-->"), ""),
    ("<", re.compile(r"<((?:https?|mailto):[^<>\s]+)>"), r"\1"),
    ("<", re.compile(rf"</?(?:{_TAGS})\b[^<>]*>", re.IGNORECASE), ""),
    ("[[", re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]+)\]\]"), r"\1"),
    ("](", re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)"), r"\1"),
    ("[^", re.compile(r"\[\^[^\[\]\s]+\]"), ""),
    ("`", re.compile(r"`+"), ""),
    ("~~", re.compile(r"~~"), ""),
    ("==", re.compile(r"==(?=\S)|(?<=\S)=="), ""),
    ("*", re.compile(r"(?<![\s\\])\*+|(?<!\\)\*+(?!\s)"), ""),
    ("_", re.compile(r"(?<!\w)_+(?=\S)|(?<=[^\s_])_+(?!\w)"), ""),
    ("\\", re.compile(r"\\(?=[^\w\s])"), ""),
)
_HAS_MARKUP = re.compile(r"[<\[`~=*_\\]")
_FENCE = re.compile(r"\s{0,3}(```|~~~)")
_HEADING = re.compile(r"\s{0,3}#{1,6}\s+(.*)")
_BULLET = re.compile(r"\s*(?:[-*+•]|\d{1,3}[.)])\s+(?:\[(?P<box>[ xX/-])\]\s+)?(?P<text>.*)")
_RULE = re.compile(r"\s*(?:[-*_=]\s*){3,}$|[\s|:+-]+$")
_SENTENCE_END = re.compile(r"(?<=[.!?…])(?=[\s\"”’)\]*])[\"”’)\]*]*\s+|(?<=[。！？])(?![。！？」』）])")
_WRAPPER = re.compile(r"\s*</?[\w-]+(?:\s[^<>]*)?>\s*$")
_FRONTMATTER = re.compile(r"\A---[ \t]*\n.*?^---[ \t]*$", re.DOTALL | re.MULTILINE)
_ABBREVIATION = re.compile(r"(?:^|[\s(])(?:e\.g|i\.e|vs|cf|approx|[Nn]o|Mr|Mrs|Ms|Dr|St|[A-Z])\.$")
_LABELLED = re.compile(r"\*\*[^*\n]{1,60}:\*\*|\*\*[^*\n]{1,60}\*\*:")
_LONGEST_ABBREVIATION = 12
_LONGEST_LABEL = 80
_SHORTEST_SENTENCE = 30
_SHORTEST_DENSE = 8
_LONGEST_UNIT = 320


@dataclass(frozen=True, slots=True)
class Unit:
    """A sentence, bullet or table row.

    *heading* is what it stands under, *box* the state of its checkbox; *lead* says that it opens its text.
    """

    text: str
    heading: str = ""
    box: Literal["", "open", "done"] = ""
    lead: bool = False


def plain(text: str) -> str:
    """The text on one line without control characters and Markdown marks."""
    line = " ".join(_CONTROL.sub("", text).split())
    if _HAS_MARKUP.search(line):
        for mark, pattern, replacement in _MARKUP:
            if mark in line:
                line = pattern.sub(replacement, line)
    return " ".join(line.split())


def sentences(line: str) -> list[str]:
    """Split one plain line into sentences; an abbreviation's full stop does not end one."""
    found: list[str] = []
    start = 0
    for gap in _SENTENCE_END.finditer(line):
        ending = line[max(start, gap.end() - _LONGEST_ABBREVIATION) : gap.end()].strip()
        if ending and not _ABBREVIATION.search(ending):
            found.append(line[start : gap.end()].strip())
            start = gap.end()
    tail = line[start:].strip()
    return [*found, tail] if tail else found


def read_units(text: str) -> list[Unit]:
    """Every quotable unit of a Markdown text, in order. Headings and labels become context, not quotations."""
    reader = _Reader()
    for line in _FRONTMATTER.sub("", text).splitlines():
        reader.feed(line)
    reader.flush()
    return reader.units


class _Reader:
    """Joins the lines of a paragraph or bullet, and remembers what they stand under."""

    def __init__(self) -> None:
        self.units: list[Unit] = []
        self._heading = ""
        self._label = ""
        self._lines: list[str] = []
        self._box: Literal["", "open", "done"] = ""
        self._bullet = False
        self._fenced = False

    def feed(self, line: str) -> None:
        if _FENCE.match(line):
            self.flush()
            self._fenced = not self._fenced
        elif self._fenced:
            self._add(" ".join(_CONTROL.sub("", line).split()), "")
        else:
            self._feed_prose(line)

    def _feed_prose(self, line: str) -> None:
        line = line.lstrip("> ") if line.lstrip().startswith(">") else line
        if not line.strip() or _RULE.match(line) or _WRAPPER.match(line):
            self.flush()
        elif heading := _HEADING.match(line):
            self.flush()
            self._heading, self._label = plain(heading[1]).rstrip("# "), ""
        elif bullet := _BULLET.match(line):
            self.flush()
            self._bullet, self._box = True, _box_state(bullet["box"])
            self._lines.append(bullet["text"])
        elif line.lstrip().startswith("|"):
            self.flush()
            self._add(plain(line.strip().strip("|")), "")
        else:
            self._lines.append(line)

    def flush(self) -> None:
        """End the paragraph or bullet under way."""
        line = plain(" ".join(self._lines))
        if line.endswith((":", "：")) and len(line) <= _LONGEST_LABEL:
            self._label = line
        elif line:
            if not self._bullet:
                self._label = ""
            # A short bullet or labelled point is one thought; a paragraph is as many as it has sentences.
            point = self._bullet or _LABELLED.match(self._lines[0].strip())
            for piece in [line] if point and len(line) <= _LONGEST_UNIT else _joined(sentences(line)):
                self._add(piece, self._box)
        self._lines, self._box, self._bullet = [], "", False

    def _add(self, text: str, box: Literal["", "open", "done"]) -> None:
        if any(map(str.isalnum, text)):
            self.units.append(Unit(text, f"{self._heading} {self._label}".strip(), box))


def _joined(pieces: list[str]) -> list[str]:
    """Sentences too short to stand alone ("He sleeps better with 6.") stay with the one before."""
    found: list[str] = []
    for piece in pieces:
        shortest = _SHORTEST_SENTENCE if piece.isascii() or " " in piece else _SHORTEST_DENSE
        if found and len(piece) < shortest and len(found[-1]) + len(piece) < _LONGEST_UNIT:
            found[-1] = f"{found[-1]} {piece}"
        else:
            found.append(piece)
    return found


def _box_state(mark: str | None) -> Literal["", "open", "done"]:
    if mark is None:
        return ""
    return "done" if mark in "xX-" else "open"


def shorten(text: str, longest: int = _LONGEST_UNIT) -> str:
    """A quotation that fits: cut at a word where there are words, with an ellipsis that says so."""
    if len(text) <= longest:
        return text
    head = text[:longest]
    end = head.rfind(" ")
    return (head[:end] if end > longest // 2 else head).rstrip() + " …"
