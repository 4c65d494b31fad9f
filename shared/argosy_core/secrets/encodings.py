"""The forms in which a value comes back: what other programs make of text before they print it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote, quote_plus

_PART = 16  # so many characters in a row of a longer value count as the value: programs cut what they print
_LONGEST_PART = 32
# What programs leave as it is: nothing, paths, encodeURIComponent, encodeURI.
_LEFT_ALONE = ("", "/", "!'()*~", ";,/?:@&=+$-_.!~*'()#")


class Form(NamedTuple):
    """One form of a value; *enough* is how many characters of it in a row give the value away."""

    text: str
    enough: int


def forms_of(value: str) -> list[Form]:
    """Every form of *value* that is looked for, each once, in the order that says most to least."""
    found: dict[str, int] = {}
    for text, chars_per_char in _forms(value):
        found.setdefault(text, _enough(text, chars_per_char))
    return [Form(text, enough) for text, enough in found.items()]


def _enough(text: str, chars_per_char: float) -> int:
    part = min(max(len(text) / chars_per_char / 3, _PART), _LONGEST_PART)
    return min(len(text), round(part * chars_per_char))


def _forms(value: str) -> Iterator[tuple[str, float]]:
    data = value.encode("utf-8", "surrogatepass")
    yield value, 1
    for text in (*_escaped(value), *_in_urls(data)):
        yield text, max(1.0, len(text) / len(value))
    for text in _base64(data):
        yield text, 4 / 3
    for text in (data.hex(), data.hex().upper()):
        yield text, 2
    yield value[::-1], 1


def _escaped(value: str) -> Iterator[str]:
    for ascii_only in (True, False):
        once = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield once
        yield once.replace("/", "\\/")
        yield json.dumps(once, ensure_ascii=ascii_only)[1:-1]  # JSON inside a text of JSON
    yield repr(value)[1:-1]


def _in_urls(data: bytes) -> Iterator[str]:
    for safe in _LEFT_ALONE:
        for text in (quote(data, safe=safe), quote_plus(data, safe=safe)):
            yield text
            yield _lower_escapes(text)


def _lower_escapes(text: str) -> str:
    first, *rest = text.split("%")
    return first + "".join(f"%{part[:2].lower()}{part[2:]}" for part in rest)


def _base64(data: bytes) -> Iterator[str]:
    # What stands before and after a value shifts its bits: only the characters that it alone decides are compared.
    for offset, first in ((0, 0), (1, 2), (2, 3)):
        text = base64.b64encode(bytes(offset) + data).decode()
        own = text[first : (offset + len(data)) * 8 // 6]
        yield own
        yield own.replace("+", "-").replace("/", "_")
