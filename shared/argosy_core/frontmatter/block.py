"""Where the head of a page begins and ends."""

from __future__ import annotations

import re
from dataclasses import dataclass

from argosy_core.yamltext import BREAK

BOM = "\ufeff"
FENCE = "---"

_OPENING = re.compile(rf"{BOM}?---[ \t]*(?:{BREAK})")
_CLOSING = re.compile(rf"(?:(?<=[\r\n\x85\u2028\u2029]))(?:---|\.\.\.)[ \t]*(?:{BREAK}|\Z)")
_LINE = re.compile(rf"[^\r\n\x85\u2028\u2029]*(?:{BREAK})|[^\r\n\x85\u2028\u2029]+\Z")
# A line that can stand in a head: `key: value`, a list item, a comment, an indented line.
_HEAD_LINE = re.compile(r"[ \t]+\S|#|-(?:[ \t]|$)|[^\s\-#:\[\]{}>|*&!%@`][^:]{0,200}:(?:[ \t]|$)")


@dataclass(frozen=True, slots=True)
class Block:
    """A page cut in four: ``opening + head + closing + rest`` is the page, byte for byte.

    *opening* is the byte-order mark and the first fence, *closing* the second fence (empty when it is missing), each
    with its line ending.
    """

    opening: str
    head: str
    closing: str
    rest: str

    @property
    def eol(self) -> str:
        """The line ending of the page's first line."""
        return self.opening[len(self.opening.rstrip("\r\n\x85\u2028\u2029")) :]


def find_block(text: str) -> Block | None:
    """The head of *text*; None when it has none.

    A first line ``---`` that is never closed opens a head all the same when lines like ``key: value`` follow it.
    """
    opening = _OPENING.match(text)
    if opening is None:
        return None
    start = opening.end()
    closing = _CLOSING.search(text, start)
    if closing is None:
        end = start + sum(map(len, _head_run(text[start:])))
        return Block(text[:start], text[start:end], "", text[end:]) if end > start else None
    return Block(
        text[:start], text[start : closing.start()], text[closing.start() : closing.end()], text[closing.end() :]
    )


def split_lines(text: str) -> list[str]:
    """The lines of *text* as YAML counts them, each with its ending; joined they are *text*."""
    return _LINE.findall(text)


def bare(line: str) -> str:
    """*line* without its ending."""
    return line.rstrip("\r\n\x85\u2028\u2029")


def _head_run(text: str) -> list[str]:
    run: list[str] = []
    for match in _LINE.finditer(text):
        if not _HEAD_LINE.match(bare(match.group())):
            break
        run.append(match.group())
    return run if any(_HEAD_LINE.match(line) and line[0] not in " \t#-" for line in run) else []
