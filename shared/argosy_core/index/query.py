"""What a person or a model typed, as terms the index can be asked for.

The whole syntax is: words in any order, ``"a phrase"``, ``begin*``. Everything else, FTS5's own operators included,
is text. Nothing raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from argosy_core.index.text import Piece, is_unspaced, pieces

TEXT_CHARS = 2_000
TERMS = 32
PREFIX_CHARS = 3
"""A shorter beginning reaches most of a vocabulary: 30 ms at 100,000 documents for two letters, 3 ms for three."""

_QUOTES = re.compile("[“”„‟«»「」『』＂]")


@dataclass(frozen=True, slots=True)
class Needle:
    """What to look for in a text that is shown: *whole* needs word boundaries, *prefix* ends anywhere."""

    text: str
    whole: bool = True
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Term:
    """One demand on a document: *match* in FTS5's language; *parts* are the weaker demands it relaxes to."""

    match: str
    needles: tuple[Needle, ...]
    parts: tuple[Term, ...] = ()

    def relaxed(self) -> tuple[Term, ...]:
        return self.parts or (self,)


def parse(text: str) -> tuple[Term, ...]:
    """The terms of *text*, doubles left out; at most `TERMS` of the first `TEXT_CHARS` characters."""
    terms: list[Term] = []
    quoted = _QUOTES.sub('"', text[:TEXT_CHARS]).split('"')
    for at, stretch in enumerate(quoted):
        is_phrase = at % 2 == 1 and at < len(quoted) - 1
        chunks = [stretch] if is_phrase else stretch.split()
        terms += [term for chunk in chunks if (term := _term(chunk, is_phrase))]
    return unique(terms)[:TERMS]


def unique(terms: Iterable[Term]) -> tuple[Term, ...]:
    """*terms* in their order, each demand once."""
    return tuple({term.match.casefold(): term for term in reversed(list(terms))}.values())[::-1]


def all_of(terms: Sequence[Term]) -> str:
    return " AND ".join(term.match for term in terms)


def any_of(terms: Sequence[Term]) -> str:
    return " OR ".join(term.match for term in terms)


def _term(chunk: str, is_phrase: bool) -> Term | None:
    found = list(pieces(chunk))
    if not found:
        return None
    is_prefix = chunk.endswith("*") and not is_phrase and len(found[-1].literal) >= PREFIX_CHARS
    tokens = [token for piece in found for token in piece.tokens]
    parts = tuple(_single(token, piece) for piece in found for token in piece.tokens) if len(tokens) > 1 else ()
    return Term(phrase_of(tokens, is_prefix), _needles(found, is_prefix), unique(parts))


def _single(token: str, piece: Piece) -> Term:
    literal = token if is_unspaced(token) else piece.literal
    return Term(phrase_of([token]), (_needle(literal, piece, False),))


def phrase_of(tokens: Sequence[str], is_prefix: bool = False) -> str:
    """*tokens* one after the other. A lone character of an unspaced script begins some pair of the text: a star."""
    lone = len(tokens[-1]) == 1 and is_unspaced(tokens[-1])
    return f'"{" ".join(tokens)}"' + ("*" if is_prefix or lone else "")


def _needles(found: Sequence[Piece], is_prefix: bool) -> tuple[Needle, ...]:
    last = len(found) - 1
    return tuple(_needle(piece.literal, piece, is_prefix and at == last) for at, piece in enumerate(found))


def _needle(literal: str, piece: Piece, is_prefix: bool) -> Needle:
    return Needle(literal, whole=piece.tokens == (piece.literal,) and not is_unspaced(literal), prefix=is_prefix)
