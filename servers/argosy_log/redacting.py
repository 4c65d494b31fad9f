"""Redaction: the chained event first, then the line. Whoever dies between is made up for by the next server."""

from __future__ import annotations

import sqlite3

from argosy_core.errors import ArgosyError, InvalidArgument, Unavailable
from argosy_core.storage.base import Store
from argosy_core.storage.chain_lines import parse_line
from argosy_core.storage.chain_redaction import no_entry, redact_line, redaction_event
from argosy_core.types import Caller
from argosy_log.event_feed import LOG_WRITER
from argosy_log.event_index import EventIndex
from argosy_log.event_pages import entry_line
from argosy_log.event_sql import statement
from argosy_log.models import Redacted

MAX_WHY_CHARS = 500


class Redacting:
    """Takes text out of entries, and out of what the index holds of them."""

    def __init__(self, store: Store, index: EventIndex) -> None:
        self._chain = store.chain
        self._index = index
        self._bell = store.bell

    async def redact(self, caller: Caller, stream: str, writer: str, seq: int, why: str) -> Redacted:
        """Redact one entry. Raises NotFound, Corrupted, InvalidArgument; the same entry again changes nothing."""
        if not 0 < len(why.strip()) <= MAX_WHY_CHARS:
            raise InvalidArgument(f"why has 1 to {MAX_WHY_CHARS} characters: it stays in the log")
        line, is_complete = await self._index.ask_fresh([stream], lambda db: entry_line(db, stream, writer, seq))
        fields = parse_line(line) if line else None
        if fields is None and not is_complete:
            raise Unavailable("the entry is not found while the index of the log is being built", hint="try again soon")
        if fields is None:
            raise no_entry(stream, writer, seq)
        redact_line(fields)  # raises for what must not be redacted, before anything is written
        told = await self._tell(stream, writer, seq, why.strip(), caller.role.value)
        entry = await self._chain.redact(stream, writer, seq)
        self._bell.ring(f"{stream}/log")
        await self._settle(stream, writer, seq)
        return Redacted(stream=stream, writer=writer, seq=seq, hash=entry.hash, told_by=told)

    async def _tell(self, stream: str, writer: str, seq: int, why: str, by: str) -> int:
        key = f"redaction:{seq}:{writer}"
        found = await self._chain.find(stream, LOG_WRITER, key)
        if found is None:
            found = await self._chain.append(stream, LOG_WRITER, redaction_event(writer, seq, why, by), key=key)
        return found.seq

    async def _settle(self, stream: str, writer: str, seq: int) -> None:
        is_complete = await self._index.freshen([stream])
        if is_complete:
            await self._index.tell(lambda db: _close(db, stream, writer, seq))
        await self._index.forget_removed()

    async def finish_begun(self) -> int:
        """Redact what the log says is redacted and a crash left as it was; how many there were."""
        streams = await self._chain.streams()
        rows, _ = await self._index.ask_fresh(streams, lambda db: db.execute(statement("open_redactions")).fetchall())
        for row in rows:
            try:
                await self._chain.redact(row["stream"], row["writer"], row["seq"])
            except ArgosyError:
                continue  # `log_verify` tells of it
            await self._settle(row["stream"], row["writer"], row["seq"])
        return len(rows)


def _close(db: sqlite3.Connection, stream: str, writer: str, seq: int) -> None:
    db.execute(statement("add_redaction"), (stream, writer, seq))
    db.execute(statement("close_redaction"), (stream, writer, seq))
