"""From text to what the tokeniser is given. Documents and queries pass through here, so both are cut alike.

`unicode61` cuts at spaces and punctuation, and takes accents off Latin letters. It misses five things, each made into
plain tokens here: scripts written without spaces (overlapping pairs of characters), emoji (``x`` and the code point),
``C++`` and ``C#`` (a spelled sign), letters that people type in a plainer form (ß, ё, ł, Greek accents), and
what Unicode writes inside words without being letters (vowel points, selectors: dropped). Most text holds none of
them and comes back unchanged, so that it need not be stored twice. A change here needs the next SCHEMA_VERSION.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from unicodedata import category, decomposition, is_normalized, normalize

TOKENIZER = "porter unicode61 remove_diacritics 2 categories 'L* N* M* Co Cn'"
"""Marks are part of a word (Devanagari needs them); what SQLite's Unicode does not know is a letter to a newer one."""

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
_SIGN = r"(?<![A-Za-z0-9_])[A-Za-z](?:\+\+(?![A-Za-z+])|\#(?![\w\#]))"
_SPECIAL = re.compile(
    f"(?P<sign>{_SIGN})|(?P<run>[{_UNSPACED}]+)|(?P<emoji>[{_EMOJI}])|(?P<dropped>[{_DROPPED}]+)"
    "|(?P<broken>[\ud800-\udfff])"
)
_SIGNS = {"++": "plusplus", "#": "sharp"}
_PLAINER_GROUPS = ("ßẞ ss", "æÆ ae", "œŒ oe", "þÞ th", "øØ o", "łŁ l", "đĐðÐ d", "ı i", "ёЁ е")
_PLAINER = {letter: group.split()[1] for group in _PLAINER_GROUPS for letter in group.split()[0]}
_ACCENTED = "\u0386\u0388-\u0390\u03aa-\u03b0\u03ca-\u03ce\u1f00-\u1fff\u0622\u0623\u0625"
_LETTER = re.compile(f"[{''.join(_PLAINER)}{_ACCENTED}]")
_COMPATIBLE = re.compile("[²³¹\u2070-\u209c\u2150-\u2188\u2460-\u24ff\u3300-\u33ff\ufb00-\ufdff\ufe70-\ufefc！-\uffee]")
_DROPPED_RUN = re.compile(f"[{_DROPPED}]+")
_BROKEN = re.compile("[\ud800-\udfff]")
_ASCII_WORD = re.compile("[A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing a person typed: *literal* as it stands in a text, *tokens* as they stand in the index."""

    literal: str
    tokens: tuple[str, ...]


def searchable(text: str) -> str:
    """*text* as the index holds it."""
    if text.isascii() and "++" not in text and "#" not in text:
        return text
    return _SPECIAL.sub(_spelled, _plain(text))


def pieces(text: str) -> Iterator[Piece]:
    """The words, runs, emoji and signs of *text*, in order; separators give nothing."""
    text = text if text.isascii() else _DROPPED_RUN.sub("", _plain(text))
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
    found = _SPECIAL.match(token)
    return found is not None and found.lastgroup == "run"


def base_letter(char: str) -> str:
    """*char* without its accents; the same when it has none."""
    while (parts := decomposition(char)) and not parts.startswith("<"):
        char = chr(int(parts.split()[0], 16))
    return char


def storable(text: str) -> str:
    """*text* without lone surrogates, which UTF-8 cannot hold."""
    return text if text.isascii() else _BROKEN.sub("\ufffd", text)


def _plain(text: str) -> str:
    """*text* in plainer letters, each spelled one way: NFC, or NFKC where full-width forms and the like stand."""
    if text.isascii():
        return text
    form: Literal["NFC", "NFKC"] = "NFKC" if _COMPATIBLE.search(text) else "NFC"
    text = text if is_normalized(form, text) else normalize(form, text)
    return _LETTER.sub(lambda match: _PLAINER.get(match[0]) or base_letter(match[0]), text)


def _spelled(match: re.Match[str]) -> str:
    """What stands in a document for a special stretch. A run's last character stands alone as well: a query of one
    character asks for what begins with it."""
    if match.lastgroup == "dropped":
        return ""
    ending = f" {match[0][-1]}" if match.lastgroup == "run" and len(match[0]) > 1 else ""
    return f" {' '.join(_tokens(match))}{ending} "


def _tokens(match: re.Match[str]) -> list[str]:
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
    return char.isalnum() or category(char) in {"Mn", "Mc", "Me", "Co", "Cn"}
