"""How well a query fits an entry: how many of its words are in it, whatever the case."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def matches(query: str, text: str, tags: Sequence[str]) -> int:
    """How many words of *query* are in *text* or among *tags*; ``"quoted words"`` must stand together, as one."""
    haystack = _fold(f"{text} {' '.join(tags)}")
    return sum(part in haystack for part in _parts(query))


def _parts(query: str) -> set[str]:
    found: list[str] = []
    for index, piece in enumerate(query.split('"')):
        folded = _fold(piece)
        found += [folded.strip()] if index % 2 else folded.split()
    return {part for part in found if part}


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
