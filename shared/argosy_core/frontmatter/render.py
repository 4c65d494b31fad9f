"""Writing a head: plain where that is safe, quoted where it is not."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from argosy_core.errors import InvalidArgument, TooLarge
from argosy_core.frontmatter.block import FENCE, find_block
from argosy_core.yamltext import MAX_CHARS, plain

FLOW_KEYS = frozenset({"tags"})

_MAX_KEY_CHARS = 128
_MAX_WRITTEN_DEPTH = 32
_SCALARS = frozenset({str, int, bool, type(None)})
_SHORT_CHARS = 24
_INDICATORS = frozenset("-?:,[]{}#&*!|>'\"%@`")
_UNSAFE_IN_FLOW = frozenset(",[]{}:?")
# What another YAML 1.1 reader takes for a number, or fails on, although this one keeps it as text.
_ODD_ELSEWHERE = re.compile(
    r"[-+]?[0-9][0-9_]*(?:[.:][0-9_]*)*(?:[eE][-+]?[0-9]+)?|[-+]?0[box][0-9a-f_]+|[-+]?\.(?:inf|nan|[0-9_]+)|=|<<", re.I
)


@functools.cache  # a large class: what only reads need not pay for it
def _unsafe() -> re.Pattern[str]:
    return re.compile("[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def render(fields: Mapping[str, Any], body: str) -> str:
    """A new page: *fields* in their order, then a blank line and *body*. ``parse`` of it gives both back.

    Without fields it is *body* alone, unless that would itself be read as a head. Raises InvalidArgument for a value
    that JSON cannot hold and TooLarge for a head above 64 KiB.
    """
    if not fields and find_block(body) is None and not body.startswith("\ufeff"):
        return body
    gap = "\n" if body else ""
    return f"{FENCE}\n{render_head(fields)}{FENCE}\n{gap}{body}"


def render_head(fields: Mapping[str, Any], eol: str = "\n") -> str:
    """The lines of a head, without its fences."""
    head = "".join(line + eol for key, value in fields.items() for line in entry_lines(key, value))
    if len(head) > MAX_CHARS:
        raise TooLarge(f"the frontmatter would be longer than {MAX_CHARS // 1024} KiB", hint="move text into the body")
    return head


def entry_lines(key: str, value: Any, label: str | None = None, flow: bool = False) -> list[str]:
    """The lines that set *key* to *value*; *label* is the key as it was already written, *flow* asks for brackets."""
    if label is None and type(value) in _SCALARS and not (isinstance(value, str) and len(value) > _SHORT_CHARS):
        return list(_short_lines(key, value))  # heads are made of the same few lines again and again
    return list(_pair(label or _key(key), value, 0, flow or key in FLOW_KEYS))


@functools.lru_cache(maxsize=1024, typed=True)
def _short_lines(key: str, value: str | int | bool | None) -> tuple[str, ...]:
    return tuple(_pair(_key(key), value, 0))


def _pair(label: str, value: Any, depth: int, flow: bool = False) -> Iterator[str]:
    if not isinstance(value, Mapping | list | tuple) or not value or flow:
        yield from _labelled(label + ":", value, depth)
        return
    yield label + ":"
    yield from map(_indented, _block(cast("Mapping[str, Any] | list[Any]", value), depth + 1))


def _labelled(label: str, value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str) and _reads_as_block(value):
        text = value.rstrip("\n")
        yield f"{label} |{'-' if text == value else '' if value == text + chr(10) else '+'}"
        yield from map(_indented, value.removesuffix("\n").split("\n"))
        return
    yield f"{label} {_flow(value, depth)}"


def _block(value: Mapping[str, Any] | list[Any] | tuple[Any, ...], depth: int) -> Iterator[str]:
    _check_depth(depth)
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _pair(_key(key), item, depth)
        return
    for item in value:
        if isinstance(item, Mapping | list | tuple) and item:
            nested = _block(cast("Mapping[str, Any] | list[Any]", item), depth + 1)
            yield "- " + next(nested)
            yield from map(_indented, nested)
        else:
            yield from _labelled("-", item, depth)


def _indented(line: str) -> str:
    return "  " + line if line else line


def _flow(value: Any, depth: int, inside: bool = False) -> str:
    _check_depth(depth)
    if isinstance(value, str):
        return _text(value, inside)
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return "{" + ", ".join(f"{_key(key, True)}: {_flow(item, depth + 1, True)}" for key, item in items) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(item, depth + 1, True) for item in cast("list[Any]", value)) + "]"
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, float) and math.isfinite(value):
        text = repr(value)
        return text if "." in text else text.replace("e", ".0e")
    raise InvalidArgument(f"a field cannot hold {type(value).__name__}", hint="give text, numbers, lists and maps")


def _key(key: object, inside: bool = False) -> str:
    if not isinstance(key, str) or len(key) > _MAX_KEY_CHARS:
        raise InvalidArgument(f"a field's name must be text of at most {_MAX_KEY_CHARS} characters")
    return _text(key, inside)


def _text(text: str, inside: bool) -> str:
    if _is_plain(text) and not (inside and _UNSAFE_IN_FLOW.intersection(text)):
        return text
    if ('"' in text or "\\" in text) and not _unsafe().search(text):
        return "'" + text.replace("'", "''") + "'"
    return '"' + _unsafe().sub(_escape, text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _is_plain(text: str) -> bool:
    if not text or text[0] in _INDICATORS or text[0] == " " or text[-1] in " :" or text.startswith("..."):
        return False
    if ": " in text or " #" in text or _unsafe().search(text):
        return False
    return isinstance(plain(text), str) and not _ODD_ELSEWHERE.fullmatch(text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xD800 <= code <= 0xDFFF:
        raise InvalidArgument("a field holds half of a surrogate pair", hint="send valid Unicode")
    return {9: "\\t", 10: "\\n", 13: "\\r"}.get(code) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def _reads_as_block(text: str) -> bool:
    lines = text.split("\n")
    return (
        len(lines) > 1
        and bool(lines[0])
        and not any(_unsafe().search(x) or x[:1] == " " or x[-1:] == " " for x in lines)
    )


def _check_depth(depth: int) -> None:
    if depth > _MAX_WRITTEN_DEPTH:
        raise InvalidArgument(f"fields may be nested {_MAX_WRITTEN_DEPTH} deep", hint="flatten them")
