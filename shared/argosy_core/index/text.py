"""From text to what the tokeniser is given. Documents and queries pass through here, so both are cut alike.

`unicode61` cuts at spaces and punctuation. That misses four things, each made into plain tokens here: scripts written
without spaces (overlapping pairs of characters), emoji (``x`` and the code point), ``C++`` and ``C#`` (a spelled
sign), and signs that Unicode writes inside words without being letters (vowel points, selectors: dropped).
Most text holds none of them and comes back as the same object, so that it need not be stored twice.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

TOKENIZER = "porter unicode61 remove_diacritics 2 categories 'L* N* M* Co Cn'"
"""Marks are part of a word (Devanagari needs them); unassigned ones are letters to a newer Unicode than SQLite's."""

_UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ecd\u1000-\u103f\u1050-\u108f\u1780-\u17d3\u3005-\u3007"
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
_EMOJI = "\u2190-\u21ff\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001f3fa\U0001f400-\U0001faff"
_DROPPED = (
    "\u00ad\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
    "\u200c-\u200f\u20e3\u2060\ufe00-\ufe0f\ufeff\U0001f3fb-\U0001f3ff"
)
_SPECIAL = re.compile(
    r"(?P<sign>(?<![A-Za-z0-9_])[A-Za-z](?:\+\+(?![A-Za-z+])|\#(?![\w\#])))"
    f"|(?P<run>[{_UNSPACED}]+)|(?P<emoji>[{_EMOJI}])|(?P<dropped>[{_DROPPED}]+)|(?P<broken>[\ud800-\udfff])"
)
_UNSPACED_FIRST = re.compile(f"[{_UNSPACED}]")
_DROPPED_RUN = re.compile(f"[{_DROPPED}]+")
_BROKEN = re.compile("[\ud800-\udfff]")
_COMPATIBLE = re.compile("[\ufb00-\ufb06\uff01-\uffee\u2460-\u24ff\u3300-\u33ff]")
_SIGNS = {"++": "plusplus", "#": "sharp"}
_ASCII_WORD = re.compile("[A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing a person typed: *literal* as it stands in a text, *tokens* as they stand in the index."""

    literal: str
    tokens: tuple[str, ...]


def searchable(text: str) -> str:
    """*text* as the index holds it; the same object when nothing in it needs care."""
    if text.isascii() and "++" not in text and "#" not in text:
        return text
    return _SPECIAL.sub(_spelled, composed(text))


def composed(text: str) -> str:
    """*text* with one spelling for each character (NFC; NFKC where full-width and circled forms stand)."""
    if text.isascii():
        return text
    form: Literal["NFC", "NFKC"] = "NFKC" if _COMPATIBLE.search(text) else "NFC"
    return text if unicodedata.is_normalized(form, text) else unicodedata.normalize(form, text)


def pieces(text: str) -> Iterator[Piece]:
    """The words, runs, emoji and signs of *text*, in order; separators give nothing."""
    text = composed(text)
    text = text if text.isascii() else _DROPPED_RUN.sub("", text)
    start = 0
    for match in _SPECIAL.finditer(text):
        yield from (Piece(word, (word,)) for word in _words(text[start : match.start()]))
        tokens = tuple(_tokens(match))
        if tokens:
            yield Piece(match[0], tokens)
        start = match.end()
    yield from (Piece(word, (word,)) for word in _words(text[start:]))


def is_unspaced(token: str) -> bool:
    """True when *token* comes from a script written without spaces."""
    return _UNSPACED_FIRST.match(token) is not None


def storable(text: str) -> str:
    """*text* without lone surrogates, which UTF-8 cannot hold; the same object when it has none."""
    return text if text.isascii() else _BROKEN.sub("\ufffd", text)


def _spelled(match: re.Match[str]) -> str:
    if match.lastgroup == "dropped":
        return ""
    ending = f" {match[0][-1]}" if match.lastgroup == "run" and len(match[0]) > 1 else ""
    return f" {' '.join(_tokens(match))}{ending} "


def _tokens(match: re.Match[str]) -> list[str]:
    """The tokens of a special stretch. A document adds a run's last character alone, for one-character queries."""
    found = match[0]
    match match.lastgroup:
        case "sign":
            return [found[0] + _SIGNS[found[1:]]]
        case "emoji":
            return [f"x{ord(found)}"]
        case "run":
            return [found[at : at + 2] for at in range(max(1, len(found) - 1))]
        case _:
            return []


def _words(text: str) -> list[str]:
    if text.isascii():
        return _ASCII_WORD.findall(text)
    return "".join(char if _in_word(char) else " " for char in text).split()


def _in_word(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char) in {"Mn", "Mc", "Me", "Co", "Cn"}
