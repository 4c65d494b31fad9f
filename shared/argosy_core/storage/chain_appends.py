"""What a group of appends to one stream comes to, the same over every substrate, before it is written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from argosy_core.canonical import NO_PREVIOUS, canonical_json
from argosy_core.clock import rfc3339
from argosy_core.errors import Conflict
from argosy_core.ids import Ids
from argosy_core.storage.base import Entry
from argosy_core.storage.chain_lines import check_append, entry_of, make_entry, parse_line
from argosy_core.storage.gathering import Pending

SALT_BYTES = 16


class Append(Pending[Entry]):
    """One append to *stream*; *text* is the event as it is hashed and stored. Raises InvalidArgument."""

    def __init__(
        self, stream: str, writer: str, event: Mapping[str, Any], key: str | None, expect_seq: int | None
    ) -> None:
        super().__init__()
        self.text = canonical_json(event)
        self.stream = stream
        self.writer = writer
        self.event = event
        self.key = key
        self.expect_seq = expect_seq


def asked(stream: str, writer: str, event: Mapping[str, Any], key: str | None, expect_seq: int | None = None) -> Append:
    """The append that a caller asks for. Raises InvalidArgument."""
    check_append(writer, event, key)
    return Append(stream, writer, {**event, "key": key} if key is not None else event, key, expect_seq)


class Known(Protocol):
    """What is stored of a stream."""

    def head(self, writer: str) -> tuple[int, str]:
        """Number and hash of the writer's last entry; (0, "") when it has none."""
        ...

    def entry_of_key(self, writer: str, key: str) -> Entry | None:
        """The entry that *writer* appended under *key*."""
        ...


class AppendBatch:
    """New entries of *stream*, all of *moment*: *made* with their lines, *heads* and *keys* as they will be."""

    def __init__(self, stream: str, moment: datetime, ids: Ids, known: Known) -> None:
        self.moment = moment
        self.made: list[tuple[Entry, bytes]] = []
        self.heads: dict[str, tuple[int, str]] = {}
        self.keys: dict[tuple[str, str], str] = {}
        self._stream = stream
        self._ids = ids
        self._known = known
        self._outcomes: list[tuple[Append, Entry]] = []

    def add(self, append: Append) -> None:
        """Make the entry of *append*, or find the one that its key made before.

        Raises Conflict (another event under the key, another number than was expected), InvalidArgument.
        """
        entry = self._entry_of_repeat(append) or self._new_entry(append)
        self._outcomes.append((append, entry))

    def _new_entry(self, append: Append) -> Entry:
        seq, last = self.heads.get(append.writer) or self._known.head(append.writer)
        if append.expect_seq is not None and append.expect_seq != seq + 1:
            raise Conflict(
                f"the next entry of {append.writer} in {self._stream} is {seq + 1}, not {append.expect_seq}",
                hint="read the head again",
                seq=seq,
            )
        prev = bytes.fromhex(last) if last else NO_PREVIOUS
        ts, salt = rfc3339(self.moment), self._ids.random(SALT_BYTES)
        entry, line = make_entry(self._stream, append.writer, seq + 1, prev, ts, append.event, salt, append.text)
        self.heads[append.writer] = (entry.seq, entry.hash)
        self.made.append((entry, line))
        if append.key is not None:
            self.keys[append.writer, append.key] = line.decode()
        return entry

    def finish(self) -> None:
        """Give every append its entry, once all are written."""
        for append, entry in self._outcomes:
            append.finish(entry)

    def _entry_of_repeat(self, append: Append) -> Entry | None:
        if append.key is None:
            return None
        made = self.keys.get((append.writer, append.key))
        entry = entry_of_line(made) if made else self._known.entry_of_key(append.writer, append.key)
        if entry is not None and canonical_json(entry.event) != append.text:
            raise Conflict(
                f"the key {append.key[:80]!r} was used for another event",
                hint="use a new key for a new event",
                seq=entry.seq,
            )
        return entry


def entry_of_line(line: str) -> Entry | None:
    """The entry in *line*, which was learned or written as one."""
    fields = parse_line(line.encode())
    return entry_of(fields) if fields else None
