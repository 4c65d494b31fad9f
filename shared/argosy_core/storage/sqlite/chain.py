"""Chains as rows, one a line; their day files can be read as if they were there."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError, NotFound
from argosy_core.ids import Ids
from argosy_core.names import is_sound
from argosy_core.storage.base import Entry
from argosy_core.storage.chain_appends import Append, AppendBatch
from argosy_core.storage.chain_days import day_path
from argosy_core.storage.day_chain import FLEET, DayChain
from argosy_core.storage.sqlite.database import Database, Transaction
from argosy_core.storage.sqlite.files import SqliteFiles, time_ns
from argosy_core.storage.sqlite.log_rows import StreamRows


class SqliteChain(DayChain):
    """`Chain` over a database; appends to all streams that arrive together share one sync."""

    def __init__(self, database: Database, files: SqliteFiles, clock: Clock, ids: Ids) -> None:
        super().__init__(files)
        self._database = database
        self._clock = clock
        self._ids = ids

    def _lane(self, stream: str) -> str:
        return ""

    def _append_batch(self, lane: str, appends: Sequence[Append]) -> None:
        for batch in self._database.write(lambda t: self._write(t, appends)):
            batch.finish()

    def _write(self, t: Transaction, appends: Sequence[Append]) -> Sequence[AppendBatch]:
        moment = self._clock.now()
        batches: dict[str, AppendBatch] = {}
        for append in appends:
            try:
                batch = batches.get(append.stream)
                if batch is None:
                    _check_there(t, append.stream)
                    known = StreamRows(t, append.stream)
                    batch = batches[append.stream] = AppendBatch(append.stream, moment, self._ids, known)
                batch.add(append)
            except ArgosyError as error:
                append.fail(error)
        for stream, batch in batches.items():
            if batch.made:
                rows = StreamRows(t, stream)
                rows.add(max(day_path(stream, moment.date()), rows.last_day()), batch.made, time_ns(moment))
        return list(batches.values())

    def append_in(self, t: Transaction, append: Append) -> Entry:
        """Write *append* as part of *t*. Raises what it fails with."""
        for batch in self._write(t, [append]):
            batch.finish()
        return append.result()

    def _find(self, stream: str, writer: str, key: str) -> Entry | None:
        def find(t: Transaction) -> Entry | None:
            _check_there(t, stream)
            return StreamRows(t, stream).entry_of_key(writer, key)

        return self._database.read(find)

    def _heads_of(self, stream: str) -> Mapping[str, tuple[int, str]]:
        def heads(t: Transaction) -> Mapping[str, tuple[int, str]]:
            _check_there(t, stream)
            return StreamRows(t, stream).heads()

        return self._database.read(heads)

    def _redact(self, stream: str, writer: str, seq: int) -> Entry:
        def redact(t: Transaction) -> Entry:
            _check_there(t, stream)
            return StreamRows(t, stream).redact(writer, seq, time_ns(self._clock.now()))

        entry = self._database.write(redact)
        with closing(self._database.connect()) as connection, suppress(sqlite3.Error):
            # Else the text stays in the write-ahead log until that is full.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return entry

    def _streams(self) -> Sequence[str]:
        return [row["stream"] for row in self._database.read(lambda t: t.run("streams").fetchall())]

    def _check_stream(self, stream: str) -> None:
        self._database.read(lambda t: _check_there(t, stream))


def _check_there(t: Transaction, stream: str) -> None:
    """Raises NotFound for what is neither ``_fleet`` nor an agent: one has a document, or a log."""
    if stream == FLEET:
        return
    is_name = is_sound(stream) and not stream.startswith(".")
    if not is_name or t.first("any_below", folder=f"{stream}/", end=f"{stream}0") is None:
        raise NotFound(f"there is no agent {stream[:80]!r} to log for", hint="agent_list shows the agents")
