"""Taking text and salt out of one stored line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from argosy_core.errors import Corrupted, InvalidArgument, NotFound
from argosy_core.storage.base import Entry
from argosy_core.storage.chain_anchors import ANCHOR
from argosy_core.storage.chain_lines import can_be_followed, entry_of, is_redacted, parse_line, recompute, redacted_line
from argosy_core.storage.chain_trail import REDACTION


@dataclass(frozen=True, slots=True)
class StoredLine:
    """An entry's line, newline included, at bytes *start* to *stop* of its file."""

    fields: Mapping[str, Any]
    start: int
    stop: int


def find_entry(stream: str, writer: str, seq: int, data: bytes) -> StoredLine | None:
    """The line of the entry in the day file *data*; None when it does not stand there."""
    needle = b'"seq":%d' % seq
    at = data.find(needle)
    while at >= 0:
        start = data.rfind(b"\n", 0, at) + 1
        stop = data.find(b"\n", at) + 1 or len(data)
        fields = parse_line(data[start:stop])
        is_it = fields is not None and can_be_followed(fields, stream) and fields["writer"] == writer
        if fields is not None and is_it and fields["seq"] == seq:
            return StoredLine(fields, start, stop)
        at = data.find(needle, stop)
    return None


def redact_line(fields: Mapping[str, Any]) -> tuple[Entry, bytes | None]:
    """The redacted entry and its new line, None when it is redacted already. Raises as `Chain.redact`."""
    entry = entry_of(fields)
    if is_redacted(fields):
        return entry, None
    if fields.get("kind") in (REDACTION, ANCHOR):
        raise InvalidArgument(f"an entry of kind {fields['kind']} proves others and cannot be redacted")
    try:
        is_sound = recompute(fields, bytes.fromhex(entry.prev)) == (entry.digest, entry.hash)
    except ValueError:
        is_sound = False
    if not is_sound:
        message = f"entry {entry.seq} of {entry.writer} is not what was appended"
        raise Corrupted(message, hint="log_verify tells what is wrong with it; put the line back first")
    new = redacted_line(entry)
    return entry_of(json.loads(new)), new


def no_entry(stream: str, writer: str, seq: int) -> NotFound:
    """What is raised for an entry that is not there."""
    hint = "log_query shows each entry's stream, writer and seq; an older system's lines have none"
    return NotFound(f"there is no entry {seq} of {writer[:80]!a} in {stream[:80]!a}", hint=hint)


def redaction_event(writer: str, seq: int, why: str, by: str) -> dict[str, Any]:
    """The chained event that must be appended before an entry is redacted."""
    return {"kind": REDACTION, "writer_of": writer, "seq_of": seq, "why": why, "by": by}
