"""The line format of a chain: how an entry becomes a JSONL line, and back (`vault.md`, "The chain")."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from argosy_core.canonical import NO_PREVIOUS, chain_hash, event_digest
from argosy_core.errors import InvalidArgument
from argosy_core.storage.base import Entry

CHAIN_FIELDS = ("stream", "writer", "seq", "prev", "digest", "hash", "salt")
RESERVED = frozenset((*CHAIN_FIELDS, "ts"))
MAX_EVENT_BYTES = 256 * 1024


def check_event(event: Mapping[str, Any]) -> None:
    """Raises InvalidArgument when *event* uses a field that the chain writes itself."""
    taken = sorted(RESERVED & event.keys())
    if taken:
        raise InvalidArgument(f"an event must not hold {', '.join(taken)}", hint="the log writes these fields itself")


def make_entry(
    stream: str, writer: str, seq: int, prev: bytes, ts: str, event: Mapping[str, Any], salt: bytes
) -> tuple[Entry, bytes]:
    """The entry for *event* and its line, newline included."""
    digest = event_digest(event, salt)
    entry_hash = chain_hash(stream, writer, seq, prev, digest)
    entry = Entry(stream, writer, seq, prev.hex(), digest.hex(), entry_hash.hex(), ts, event)
    line = json.dumps(
        {
            "ts": ts,
            **event,
            "stream": stream,
            "writer": writer,
            "seq": seq,
            "prev": entry.prev,
            "digest": entry.digest,
            "hash": entry.hash,
            "salt": salt.hex(),
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()
    if len(line) > MAX_EVENT_BYTES:
        raise InvalidArgument(
            f"an event has at most {MAX_EVENT_BYTES} bytes; this one has {len(line)}",
            hint="put long text into a note and name it in the event",
        )
    return entry, line + b"\n"


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The JSON object of *line*; None when it is not one."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def is_chained(fields: Mapping[str, Any]) -> bool:
    """Whether the line belongs to a chain; lines of older systems do not."""
    return "hash" in fields and "seq" in fields and "writer" in fields


def event_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The event in a line: everything but the chain's own fields and the display time."""
    return {name: value for name, value in fields.items() if name not in RESERVED}


def recompute(fields: Mapping[str, Any], prev: bytes) -> tuple[str, str]:
    """(digest, hash) that the line's content should have after *prev*, as hex.

    Raises ValueError or KeyError when a chain field is missing or malformed.
    """
    digest = event_digest(event_of(fields), bytes.fromhex(fields["salt"]))
    entry_hash = chain_hash(fields["stream"], fields["writer"], int(fields["seq"]), prev, digest)
    return digest.hex(), entry_hash.hex()


__all__ = [
    "NO_PREVIOUS",
    "check_event",
    "event_of",
    "is_chained",
    "make_entry",
    "parse_line",
    "recompute",
]
