"""Which entries a query means: every word of it, anywhere in the entry, whatever the case."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def matches(query: str, text: str, tags: Sequence[str]) -> bool:
    """Whether every word of *query* is in *text* or among *tags*; ``"quoted words"`` must stand together."""
    haystack = _fold(f"{text} {' '.join(tags)}")
    return all(part in haystack for part in _parts(query))


def _parts(query: str) -> list[str]:
    found: list[str] = []
    for index, piece in enumerate(query.split('"')):
        folded = _fold(piece)
        found += [folded.strip()] if index % 2 else folded.split()
    return [part for part in found if part]


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
