"""Where the words of a query stand in a text that is shown.

FTS5's own `highlight` tokenises the whole document again; this looks for a handful of words with `str.find`, which
costs microseconds also in long documents. Word forms are told by a light stem, so in rare words a mark can differ from
what the index matched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from argosy_core.index.query import Needle
from argosy_core.index.text import base_letter

PLACES_OF_A_NEEDLE = 30
WORD_CHARS = 40

_ENDINGS = (
    "ations",
    "ation",
    "ingly",
    "ings",
    "edly",
    "ing",
    "ies",
    "ied",
    "ers",
    "ed",
    "es",
    "er",
    "ly",
    "s",
    "e",
    "y",
)
_rest_of_word = re.compile(rf"[^\W_]{{0,{WORD_CHARS}}}").match  # what `str.isalnum` is true of
_FORMS = frozenset(_ENDINGS)
_DOUBLING = frozenset({"ing", "ed", "er", "ers"})


class Match(NamedTuple):
    """Characters *start* to *end* of a text, matched by needle number *needle*, to the letter or as a word form."""

    start: int
    end: int
    needle: int
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Sought:
    """A needle made ready: *text* is folded, *stem* is what all its forms begin with."""

    text: str
    stem: str
    whole: bool
    prefix: bool


def sought(needle: Needle) -> Sought:
    text = fold(needle.text)
    stem = _stem(text) if needle.whole and not needle.prefix else text
    return Sought(text, stem, needle.whole, needle.prefix)


def matches(folded: str, needles: Sequence[Sought]) -> list[Match]:
    """Where *needles* stand in *folded*, by position; the first `PLACES_OF_A_NEEDLE` of each are looked at."""
    found: list[Match] = []
    for number, needle in enumerate(needles):
        _look_for(folded, needle, number, found)
    found.sort()
    return found


def fold(text: str) -> str:
    """*text* in lower case and without marks on letters; of the same length, so that offsets stay true."""
    if text.isascii():
        return text.lower()
    # Most of what is not ASCII is dashes, dots and quotes: translating takes ten times as long as looking for letters.
    plain = text.translate(_plain_letters()) if _marked_letter().search(text) else text
    lower = plain.lower()
    return lower if len(lower) == len(text) else "".join(char.lower()[:1] for char in plain)


@cache
def _marked_letter() -> re.Pattern[str]:
    return re.compile(f"[{''.join(map(chr, _plain_letters()))}]")


@cache
def _plain_letters() -> Mapping[int, str]:
    codes = (*range(0xC0, 0x250), *range(0x370, 0x530), *range(0x622, 0x626), *range(0x1E00, 0x2000))
    bases = {code: base_letter(chr(code)) for code in codes}
    letters = {code: base for code, base in bases.items() if base != chr(code)}
    return letters | {ord(letter): base for letter, base in zip("øØłŁđĐðÐı", "oOlLdDdDi", strict=True)}


def _look_for(folded: str, needle: Sought, number: int, found: list[Match]) -> None:
    stem, length, at = needle.stem, len(needle.stem), 0
    for _ in range(PLACES_OF_A_NEEDLE):
        start = folded.find(stem, at)
        if start < 0:
            return
        at = start + length
        if not needle.whole:
            found.append(Match(start, at, number, True))
        elif start == 0 or not folded[start - 1].isalnum():
            at = _rest_of_word(folded, at).end()  # type: ignore[union-attr]  # it matches nothing as well
            word = folded[start:at]
            if word == needle.text or needle.prefix:
                found.append(Match(start, at, number, True))
            elif _is_form(word, stem):
                found.append(Match(start, at, number, False))


def _stem(word: str) -> str:
    """The start that the English forms of *word* share; the word itself when it is short or of another script."""
    if len(word) < 4 or not word.isascii():
        return word
    ending = next((ending for ending in _ENDINGS if word.endswith(ending) and len(word) - len(ending) >= 3), "")
    base = word[: len(word) - len(ending)]
    is_doubled = ending in _DOUBLING and base[-1] == base[-2] and base[-1] not in "lsz"
    return base[:-1] if is_doubled else base


def _is_form(word: str, stem: str) -> bool:
    """True for *stem* with an ending, its last letter doubled or not."""
    ending = word[len(stem) :]
    return not ending or ending in _FORMS or (ending[0] == stem[-1] and ending[1:] in _DOUBLING)
