"""The line format of a chain: how an entry becomes a JSONL line, and back (`vault.md`, "The chain")."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

from argosy_core.canonical import NO_PREVIOUS, canonical_json, chain_hash, event_digest, text_digest
from argosy_core.errors import InvalidArgument
from argosy_core.names import is_encodable
from argosy_core.storage.base import Entry

CHAIN_FIELDS = ("stream", "writer", "seq", "prev", "digest", "hash", "salt")
RESERVED = frozenset((*CHAIN_FIELDS, "ts"))
MAX_EVENT_BYTES = 256 * 1024
MAX_KEY_CHARS = 1000
MAX_WRITER_CHARS = 100
_HASH_CHARS = 64
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_decode = json.JSONDecoder().raw_decode


def check_append(writer: str, event: Mapping[str, Any], key: str | None) -> None:
    """Raises InvalidArgument for a bad writer or key, and for an event with a field that the chain writes itself."""
    taken = sorted((RESERVED | {"key"}) & event.keys())
    if taken:
        raise InvalidArgument(f"an event must not hold {', '.join(taken)}", hint="the log writes these fields itself")
    if not 0 < len(writer) <= MAX_WRITER_CHARS or not writer.isprintable():
        raise InvalidArgument(
            f"a writer is a name of 1 to {MAX_WRITER_CHARS} printable characters", hint="use a short name of letters"
        )
    if key is not None and not 0 < len(key) <= MAX_KEY_CHARS:
        raise InvalidArgument(f"a key has 1 to {MAX_KEY_CHARS} characters", hint="give another key, or none")
    if key is not None and not is_encodable(key):
        raise InvalidArgument("a key holds what UTF-8 cannot (a lone surrogate)", hint="give another key, or none")


def make_entry(
    stream: str,
    writer: str,
    seq: int,
    prev: bytes,
    ts: str,
    event: Mapping[str, Any],
    salt: bytes,
    text: bytes | None = None,
) -> tuple[Entry, bytes]:
    """The entry for *event* and its line, newline included; *text* is the event's canonical JSON where it is at hand.

    The event stands in the line as the bytes that were hashed, so that checking needs no parsing (`chain_trail`).
    """
    text = canonical_json(event) if text is None else text
    digest = text_digest(text, salt)
    entry_hash = chain_hash(stream, writer, seq, prev, digest)
    entry = Entry(stream, writer, seq, prev.hex(), digest.hex(), entry_hash.hex(), ts, event)
    line = _line_of(entry, text[1:-1], f',"salt":"{salt.hex()}"')
    if len(line) > MAX_EVENT_BYTES:
        raise InvalidArgument(
            f"an event has at most {MAX_EVENT_BYTES} bytes; this one has {len(line)}",
            hint="put long text into a note and name it in the event",
        )
    return entry, line + b"\n"


def redacted_line(entry: Entry) -> bytes:
    """The line of *entry* without its text and salt, newline included: its digest stays, so the chain still holds."""
    return _line_of(entry, b'"redacted":true', "") + b"\n"


def is_redacted(fields: Mapping[str, Any]) -> bool:
    """Whether the line is one that `redacted_line` wrote."""
    return "salt" not in fields and event_of(fields) == {"redacted": True}


def _line_of(entry: Entry, text: bytes, salt: str) -> bytes:
    # By hand: a writer waits for this under the stream's lock.
    prev, digest, entry_hash = map(_encode, (entry.prev, entry.digest, entry.hash))
    place = f'"seq":{entry.seq},"prev":{prev},"digest":{digest},"hash":{entry_hash}{salt}}}'
    parts = (f'{{"ts":{_encode(entry.ts)}'.encode(), text, _names_of(entry.stream, entry.writer), place.encode())
    return b",".join(part for part in parts if part)


@lru_cache(maxsize=256)
def _names_of(stream: str, writer: str) -> bytes:
    return _encode({"stream": stream, "writer": writer}).encode()[1:-1]


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The JSON object of *line*; None when it is not one."""
    try:
        text = line.decode().strip(" \t\r\n")
        found, end = _decode(text)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) and end == len(text) else None


def is_torn_write(data: bytes) -> bool:
    """Whether *data*, the end of a file, is what a power cut may leave of one write of several lines.

    The disk takes the blocks of a write in any order. One that is missing reads as NULs, which no line has; whole lines
    after it are of the same write, and so of one time. Where they are not, somebody or something else did it.
    """
    first, *others = data.split(b"\n")
    whole = [parse_line(line) for line in others[:-1] if b"\0" not in line]
    return (
        b"\0" in first
        and None not in whole
        and len({fields["ts"] for fields in whole if fields and "ts" in fields}) < 2
    )


def is_chained(fields: Mapping[str, Any]) -> bool:
    """Whether the line belongs to a chain; lines of older systems do not."""
    return "hash" in fields and "seq" in fields and "writer" in fields


def can_be_followed(fields: Mapping[str, Any], stream: str) -> bool:
    """Whether the next entry of a chain may build on this line: it is of *stream* and has the fields' right types."""
    seq, entry_hash = fields.get("seq"), fields.get("hash")
    return (
        fields.get("stream") == stream
        and isinstance(fields.get("writer"), str)
        and type(seq) is int
        and 0 < seq < 1 << 63
        and isinstance(entry_hash, str)
        and len(entry_hash) == _HASH_CHARS
        and entry_hash.isascii()
        and entry_hash.isalnum()
        and entry_hash.lower().strip("0123456789abcdef") == ""
    )


def event_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The event in a line: everything but the chain's own fields and the display time."""
    event = dict(fields)
    for name in RESERVED:
        event.pop(name, None)
    return event


def entry_of(fields: Mapping[str, Any]) -> Entry:
    """The entry that a line `can_be_followed` of holds."""
    prev, digest, entry_hash, ts = (str(fields.get(name, "")) for name in ("prev", "digest", "hash", "ts"))
    return Entry(fields["stream"], fields["writer"], fields["seq"], prev, digest, entry_hash, ts, event_of(fields))


def recompute(fields: Mapping[str, Any], prev: bytes) -> tuple[str, str]:
    """(digest, hash) that the line's content should have after *prev*, as hex.

    Raises ValueError when a chain field is missing or malformed.
    """
    try:
        digest = event_digest(event_of(fields), bytes.fromhex(fields["salt"]), parsed=True)
        entry_hash = chain_hash(fields["stream"], fields["writer"], fields["seq"], prev, digest)
    except (AttributeError, KeyError, OverflowError, TypeError) as exc:
        raise ValueError("not a chain field") from exc
    return digest.hex(), entry_hash.hex()


__all__ = [
    "NO_PREVIOUS",
    "can_be_followed",
    "check_append",
    "entry_of",
    "event_of",
    "is_chained",
    "is_redacted",
    "is_torn_write",
    "make_entry",
    "parse_line",
    "recompute",
    "redacted_line",
]
