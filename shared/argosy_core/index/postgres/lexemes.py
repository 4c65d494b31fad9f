"""From words to PostgreSQL's lexemes: the same words that FTS5's tokeniser makes, in the notation of its two types.

PostgreSQL's own parser is never asked: documents and queries are cut by `index.text` and stemmed here (Porter 1980, as
FTS5 does), so nothing that a person types is ever read as an operator.
"""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from typing import Any
from unicodedata import category

from argosy_core.errors import Unavailable
from argosy_core.index.query import Term
from argosy_core.index.text import base_letter

WORDS_VERSION = 1
"""Another way of cutting needs the next: an index of an older one is made anew."""
INSTALL = 'pip install "argosy[postgres]"'
STEM_BYTES = (3, 64)  # what FTS5's porter leaves as it is is shorter or longer
LEXEME_BYTES = 500  # of a longer word the beginning and a digest stand for it; PostgreSQL takes 2,046
# What one tsvector holds (PostgreSQL's manual, "Limitations" of text search).
LAST_PLACE = 16_383
PLACES_OF_A_WORD = 255
MOST_BYTES = 1_000_000
_FIELD_GAP = 2  # so that no phrase crosses from one field into the next
_WORD = re.compile(r"[^\W_]+")
_MATCH = re.compile(r'"(.*)"(\*?)', re.DOTALL)
_MARKS = frozenset({"Mn", "Mc", "Me", "Co", "Cn"})


def vector(fields: Sequence[tuple[str, str]]) -> tuple[str, bool]:
    """The ``tsvector`` of (weight, text as `searchable` made it) as text, and whether some places were left out."""
    places: dict[str, list[str]] = {}
    place, is_long = 0, False
    for weight, text in fields:
        for word in words(text):
            place += 1
            known = places.setdefault(_stored(stem(word)), [])
            if place < LAST_PLACE and len(known) < PLACES_OF_A_WORD:
                known.append(f"{place}{weight}")
            else:
                is_long = True
                known += [] if known else [f"{LAST_PLACE}{weight}"]
        place += _FIELD_GAP
    written, used = list[str](), 0
    for lexeme, known in places.items():
        used += len(lexeme.encode()) + 2 * len(known) + 4
        if used > MOST_BYTES:
            return " ".join(written), True
        written.append(f"'{lexeme}':{','.join(known)}")
    return " ".join(written), is_long


def every(terms: Sequence[Term], weights: str = "", *, apart: bool = False) -> str:
    """The ``tsquery`` of documents that hold all of *terms*, in fields of *weights* only; *apart* lets the words of a
    phrase stand anywhere."""
    return " & ".join(f"({_query(term, weights, apart)})" for term in terms)


def some(terms: Sequence[Term], weights: str = "", *, apart: bool = False) -> str:
    """As `every`, for documents that hold any."""
    return " | ".join(f"({_query(term, weights, apart)})" for term in terms)


def words(text: str) -> Iterator[str]:
    """The words of *text*, folded, as FTS5's ``unicode61`` cuts them with the categories of `text.TOKENIZER`."""
    if text.isascii():
        return iter(_WORD.findall(text.lower()))
    return iter("".join(_folded(char) for char in text).split())


@lru_cache(maxsize=1 << 14)
def _folded(char: str) -> str:
    kind = category(char)
    if kind[0] in "LN":
        return base_letter(char.lower())
    return char if kind in _MARKS and not "\u0300" <= char <= "\u036f" else "" if kind in _MARKS else " "


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """What the English forms of *word* share."""
    least, most = STEM_BYTES
    return str(_porter()(word)) if least <= len(word.encode()) <= most and word.isascii() else word


@cache
def _porter() -> Callable[[str], str]:
    """Raises Unavailable when the stemmer is not installed."""
    try:
        module: Any = importlib.import_module("snowballstemmer")
    except ImportError as exc:
        raise Unavailable("the stemmer for PostgreSQL's index is not installed", hint=INSTALL) from exc
    found: Callable[[str], str] = module.stemmer("porter").stemWord
    return found


def _stored(word: str) -> str:
    data = word.encode()
    if len(data) <= LEXEME_BYTES:
        return word
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    return data[: LEXEME_BYTES - len(digest)].decode("utf-8", "ignore") + digest


def _query(term: Term, weights: str, apart: bool) -> str:
    """A term's match is FTS5's: words between quotes, with a star for a beginning."""
    found = _MATCH.fullmatch(term.match)
    cut = [word for token in found[1].split() for word in words(token)] if found else []
    is_prefix = bool(found and found[2])
    marks = [weights] * len(cut)
    if is_prefix and marks:
        marks[-1] = f"*{weights}"
    parts = [f"'{_stored(stem(word))}'" + (f":{mark}" if mark else "") for word, mark in zip(cut, marks, strict=True)]
    return (" & " if apart else " <-> ").join(parts)
