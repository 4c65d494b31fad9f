"""Chain version 0, agent-store's rule, as it is carried inside chained events of kind `V0_ENTRY`.

Such an event holds the older entry as it was: ``stream writer seq prev hash`` and the payload, as text or, where it is
not UTF-8, as base64. So the older hashes can be checked for ever, and the newer chain protects them too.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from argosy_core.canonical import chain_hash_v0
from argosy_core.storage.base import FindingKind

V0_ENTRY = "agent_store.entry"
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class EntryV0:
    """One entry of an agent-store log; *prev* is None for the first of its (stream, writer)."""

    stream: str
    writer: str
    seq: int
    prev: bytes | None
    hash: bytes
    payload: bytes

    def as_event(self) -> dict[str, Any]:
        """The event that carries the entry."""
        try:
            payload = {"payload": self.payload.decode()}
        except UnicodeDecodeError:
            payload = {"payload_base64": base64.b64encode(self.payload).decode()}
        prev = self.prev.hex() if self.prev else None
        place = {"stream": self.stream, "writer": self.writer, "seq": self.seq, "prev": prev, "hash": self.hash.hex()}
        return {"kind": V0_ENTRY, "v0": {**place, **payload}}


def entry_of_event(event: Mapping[str, Any]) -> EntryV0 | None:
    """The entry that the event carries; None when it carries none."""
    fields = event.get("v0")
    if not isinstance(fields, dict):
        return None
    inner = cast("dict[str, Any]", fields)
    try:
        prev = bytes.fromhex(inner["prev"]) if inner["prev"] is not None else None
        encoded = inner.get("payload_base64")
        payload = base64.b64decode(encoded, validate=True) if encoded is not None else inner["payload"].encode()
        entry = EntryV0(inner["stream"], inner["writer"], inner["seq"], prev, bytes.fromhex(inner["hash"]), payload)
    except (AttributeError, KeyError, TypeError, ValueError, binascii.Error):
        return None
    return entry if [type(inner[name]) for name in ("stream", "writer", "seq")] == [str, str, int] else None


class ChainV0:
    """The walk over version 0 entries, one chain for each (stream, writer), from number 1 on."""

    def __init__(self) -> None:
        self._heads: dict[tuple[str, str], tuple[int, bytes | None]] = {}
        self._forgiven = 0

    def forgive(self) -> None:
        """An entry was redacted that may have carried one of version 0: one may be missing."""
        self._forgiven += 1

    def check(self, event: Mapping[str, Any]) -> tuple[FindingKind, str] | None:
        """What is wrong with the entry in *event*, in the chain's words; None when it follows on."""
        entry = entry_of_event(event)
        return ("altered", "it carries no entry of version 0") if entry is None else self.follow(entry)

    def follow(self, entry: EntryV0) -> tuple[FindingKind, str] | None:
        """As `check`, of an entry."""
        key = (entry.stream, entry.writer)
        seq, prev = self._heads.get(key, (0, None))
        self._heads[key] = (entry.seq, entry.hash)
        if seq + 1 < entry.seq <= seq + 1 + self._forgiven:
            self._forgiven -= entry.seq - seq - 1
            seq, prev = entry.seq - 1, entry.prev
        named = f"version 0 entry {entry.stream}/{entry.writer} #{entry.seq}"
        if entry.seq > seq + 1:
            return "gap", f"{named}: the entries {seq + 1} to {entry.seq - 1} are not there"
        if entry.seq <= seq:
            return "rewritten", f"{named} stands again after entry {seq}"
        if entry.prev != prev:
            return "rewritten", f"{named} does not follow on the one before it"
        if len(entry.hash) != _HASH_BYTES or chain_hash_v0(prev, entry.payload) != entry.hash:
            return "altered", f"{named}: the payload is not what was hashed"
        return None
