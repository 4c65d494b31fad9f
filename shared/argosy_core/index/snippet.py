"""Where a text matches, and the stretch of it worth showing.

FTS5's own `snippet` tokenises the whole document again; this looks for a handful of words with `str.find`, which costs
microseconds also in long documents. Word forms are told by a light stem, so in rare words a mark can differ from what
the index matched.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple
from unicodedata import decomposition

from argosy_core.index.query import Needle

SNIPPET_CHARS = 200
LEAD_CHARS = 40
MATCHES_OF_A_NEEDLE = 30
MATCHES_SHOWN = 12
WORD_CHARS = 40
CUT_CHARS = 20

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
_FORMS = frozenset(_ENDINGS)


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


@cache
def _plain_letters() -> Mapping[int, str]:
    """Letters with a mark, and the letter below it: one character each, so that offsets stay true."""
    found: dict[int, str] = {}
    for code in (*range(0xC0, 0x250), *range(0x370, 0x530), *range(0x1E00, 0x2000)):
        base = code
        while (parts := decomposition(chr(base))) and not parts.startswith("<"):
            base = int(parts.split()[0], 16)
        if base != code:
            found[code] = chr(base)
    return found


def fold(text: str) -> str:
    """*text* in lower case and without marks on letters; of the same length."""
    if text.isascii():
        return text.lower()
    plain = text.translate(_plain_letters())
    lower = plain.lower()
    return lower if len(lower) == len(text) else "".join(char.lower()[:1] for char in plain)


def sought(needle: Needle) -> Sought:
    text = fold(needle.text)
    stem = _stem(text) if needle.whole and not needle.prefix else text
    return Sought(text, stem, needle.whole, needle.prefix)


def matches(folded: str, needles: Sequence[Sought]) -> list[Match]:
    """Where *needles* stand in *folded*, by position; the first `MATCHES_OF_A_NEEDLE` places of each are looked at."""
    found = [match for number, needle in enumerate(needles) for match in _of_one(folded, needle, number)]
    return sorted(found) if len(needles) > 1 else found


def snippet(text: str, found: Sequence[Match]) -> str:
    """At most `SNIPPET_CHARS` of *text* around the best window of *found*, in one line, matches between ``**``."""
    window = _best_window(found)
    room = SNIPPET_CHARS - 2 - 4 * len(window)
    first = window[0].start if window else 0
    start = _word_start(text, max(0, min(first - LEAD_CHARS, len(text) - room)), first)
    end = _word_end(text, start + room)
    shown = [match for match in window if match.end <= end]
    return _marked(text, start, end, shown)


def _of_one(folded: str, needle: Sought, number: int) -> Iterator[Match]:
    stem, wanted, length, at = needle.stem, needle.text, len(needle.stem), 0
    for _ in range(MATCHES_OF_A_NEEDLE):
        start = folded.find(stem, at)
        if start < 0:
            return
        at = start + length
        if not needle.whole:
            yield Match(start, at, number, True)
        elif start == 0 or not folded[start - 1].isalnum():
            at = _end_of_word(folded, at)
            word = folded[start:at]
            if word == wanted or needle.prefix:
                yield Match(start, at, number, True)
            elif _is_form(word, stem):
                yield Match(start, at, number, False)


def _end_of_word(text: str, at: int) -> int:
    last = min(len(text), at + WORD_CHARS)
    while at < last and text[at].isalnum():
        at += 1
    return at


def _stem(word: str) -> str:
    """The start that the English forms of *word* share; the word itself when it is short or of another script."""
    if len(word) < 4 or not word.isascii():
        return word
    ending = next((ending for ending in _ENDINGS if word.endswith(ending) and len(word) - len(ending) >= 3), "")
    base = word[: len(word) - len(ending)]
    is_doubled = ending in {"ing", "ed", "er", "ers"} and base[-1] == base[-2] and base[-1] not in "lsz"
    return base[:-1] if is_doubled else base


def _is_form(word: str, stem: str) -> bool:
    """True for *stem* with an ending, its last letter doubled or not."""
    ending = word[len(stem) :]
    return not ending or ending in _FORMS or (ending[0] == stem[-1] and ending[1:] in _FORMS)


def _best_window(found: Sequence[Match]) -> Sequence[Match]:
    """The run of matches within a snippet's length that holds the most different needles; the first of equals."""
    starts = [match.start for match in found]
    best, best_rank = found[:1], (0, 0)
    for at, start in enumerate(starts):
        run = found[at : bisect_left(starts, start + SNIPPET_CHARS - 2 * LEAD_CHARS)]
        rank = (len({match.needle for match in run}), sum(match.is_exact for match in run))
        if rank > best_rank:
            best, best_rank = run, rank
    return best[:MATCHES_SHOWN]


def _word_start(text: str, start: int, latest: int) -> int:
    """The first start of a word from *start* on, when there is one near and before *latest*."""
    if start == 0:
        return 0
    near = range(start, min(latest, start + CUT_CHARS) + 1)
    return next((at for at in near if text[at - 1].isspace()), min(start, latest))


def _word_end(text: str, end: int) -> int:
    """The last end of a word up to *end*, when there is one near."""
    if end >= len(text):
        return len(text)
    return next((at for at in range(end, end - CUT_CHARS, -1) if text[at].isspace()), end)


def _marked(text: str, start: int, end: int, shown: Sequence[Match]) -> str:
    parts, at = ["…"] if start else [], start
    for match in shown:
        if match.start >= at:
            parts += [_plain(text[at : match.start]), "**", text[match.start : match.end], "**"]
            at = match.end
    parts += [_plain(text[at:end]), "…" if end < len(text) else ""]
    return " ".join("".join(parts).split())


def _plain(text: str) -> str:
    """Bold marks of the text itself are left out, so that every ``**`` shown is a match."""
    return text.replace("**", "")
