"""Chains as JSONL files, one a day: ``<stream>/log/YYYY-MM/YYYY-MM-DD.jsonl``.

Appends that arrive while one is being synced are written together by the next: one lock, one write, one sync.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import anyio
from anyio import CancelScope, from_thread, to_thread

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError, NotFound, Unavailable
from argosy_core.ids import Ids
from argosy_core.storage.base import PIECE_BYTES, Entry, Head, Piece, VerifyReport
from argosy_core.storage.chain_days import day_files
from argosy_core.storage.chain_lines import check_append, parse_line
from argosy_core.storage.chain_verify import verify_stream
from argosy_core.storage.files.chain_reading import read_piece
from argosy_core.storage.files.chain_state import ChainCache
from argosy_core.storage.files.chain_stream import Append, StreamLog
from argosy_core.vault import STATE_FOLDER, Vault

FLEET = "_fleet"
MAX_HELD_FILES = 32  # streams beyond that open their file for each append


@dataclass(slots=True)
class _Ticket:
    """One append waiting for its batch."""

    append: Append
    turn: anyio.Event = field(default_factory=anyio.Event)


@dataclass(slots=True)
class _Batch:
    """Tickets being written. Its writer's task may be gone before the thread is done."""

    tickets: Sequence[_Ticket]
    is_done: bool = False
    is_left: bool = False
    is_finished: bool = False


@dataclass(slots=True)
class _Line:
    """The tickets of one stream that wait, and whether a batch is being written."""

    waiting: list[_Ticket] = field(default_factory=list[_Ticket])
    is_busy: bool = False


class FileChain:
    """`Chain` over a vault. Call `close` to keep what was learned for the next start."""

    def __init__(self, vault: Vault, clock: Clock, ids: Ids) -> None:
        self._vault = vault
        self._clock = clock
        self._ids = ids
        self._cache = ChainCache(vault.root / STATE_FOLDER / "chain.sqlite")
        self._logs: dict[str, StreamLog] = {}
        self._lines: dict[str, _Line] = {}

    async def append(
        self,
        stream: str,
        writer: str,
        event: Mapping[str, Any],
        *,
        key: str | None = None,
        expect_seq: int | None = None,
    ) -> Entry:
        check_append(writer, event, key)
        event = {**event, "key": key} if key is not None else event
        ticket = _Ticket(Append(writer, event, key, expect_seq))
        line = self._lines.setdefault(stream, _Line())
        line.waiting.append(ticket)
        try:
            while ticket.append.outcome is None:
                if line.is_busy:
                    await ticket.turn.wait()
                    ticket.turn = anyio.Event()
                else:
                    await self._write_batch(stream, line)
        finally:
            if ticket in line.waiting:
                line.waiting.remove(ticket)
            self._pass_turn(stream, line)
        if isinstance(ticket.append.outcome, ArgosyError):
            raise ticket.append.outcome
        return ticket.append.outcome

    def append_here(self, stream: str, writer: str, event: Mapping[str, Any], key: str | None = None) -> Entry:
        """`append` for code that is off the event loop already: it blocks, and shares its sync with nobody."""
        check_append(writer, event, key)
        append = Append(writer, {**event, "key": key} if key is not None else event, key, None)
        self._append_batch(stream, [append])
        if append.outcome is None or isinstance(append.outcome, ArgosyError):
            raise append.outcome or Unavailable("the log could not be written", hint="try again")
        return append.outcome

    async def _write_batch(self, stream: str, line: _Line) -> None:
        batch, line.waiting = _Batch(line.waiting), []
        line.is_busy = True

        def finish() -> None:
            if not batch.is_finished:
                batch.is_finished = True
                self._finish(stream, line, batch)

        def write() -> None:  # in a worker thread
            self._append_batch(stream, [ticket.append for ticket in batch.tickets])
            batch.is_done = True
            if batch.is_left:
                with suppress(RuntimeError):  # the loop has ended
                    from_thread.run_sync(finish)

        try:
            with CancelScope(shield=True):
                await to_thread.run_sync(write)
        finally:
            # A task cancelled past the shield leaves while the thread still writes: then the thread finishes.
            batch.is_left = True
            if batch.is_done:
                finish()

    def _finish(self, stream: str, line: _Line, batch: _Batch) -> None:
        line.is_busy = False
        for ticket in batch.tickets:
            if ticket.append.outcome is None:
                ticket.append.outcome = Unavailable("the log could not be written", hint="try again")
            ticket.turn.set()
        self._pass_turn(stream, line)

    def _pass_turn(self, stream: str, line: _Line) -> None:
        if line.is_busy:
            return
        if line.waiting:
            line.waiting[0].turn.set()
        elif self._lines.get(stream) is line:
            del self._lines[stream]

    def _append_batch(self, stream: str, appends: Sequence[Append]) -> None:
        try:
            self._log(stream).append(appends)
        except ArgosyError as exc:
            for append in appends:
                append.outcome = exc

    def _log(self, stream: str) -> StreamLog:
        log = self._logs.get(stream)
        if log is None:
            self._check_stream(stream)
            hold = len(self._logs) < MAX_HELD_FILES
            log = StreamLog(stream, self._vault, self._clock, self._ids, self._cache, hold=hold)
            log = self._logs.setdefault(stream, log)
        return log

    def _check_stream(self, stream: str) -> None:
        if stream in self._logs or stream == FLEET:
            return
        if "/" in stream or stream not in self._vault.folders():
            raise NotFound(f"there is no agent {stream[:80]!r} to log for", hint="agent_list shows the agents")

    # Reading

    async def find(self, stream: str, writer: str, key: str) -> Entry | None:
        return await to_thread.run_sync(lambda: self._log(stream).find(writer, key))

    async def heads(self, stream: str | None = None) -> Sequence[Head]:
        return await to_thread.run_sync(self._heads, stream)

    def _heads(self, stream: str | None) -> list[Head]:
        names = self._streams() if stream is None else [stream]
        heads = {name: self._log(name).heads() for name in names}
        return [Head(name, writer, *head) for name in names for writer, head in sorted(heads[name].items())]

    async def streams(self) -> Sequence[str]:
        return await to_thread.run_sync(self._streams)

    def _streams(self) -> list[str]:
        return [name for name in self._vault.folders() if "log" in self._vault.folders(name)]

    async def scan(
        self, stream: str, *, since: date | None = None, until: date | None = None, newest_first: bool = False
    ) -> AsyncIterator[Mapping[str, Any]]:
        paths = await to_thread.run_sync(self._days, stream, since, until)
        for path in reversed(paths) if newest_first else paths:
            found = await to_thread.run_sync(self._lines_of, path)
            for fields in reversed(found) if newest_first else found:
                yield fields

    def _days(self, stream: str, since: date | None, until: date | None) -> list[str]:
        self._check_stream(stream)
        first, last = since.isoformat() if since else "", until.isoformat() if until else "~"
        paths = [info.path for info in day_files(self._vault, stream)]
        return [path for path in paths if first <= path.rpartition("/")[2].removesuffix(".jsonl") <= last]

    def _lines_of(self, path: str) -> list[dict[str, Any]]:
        found = map(parse_line, self._vault.read_from(path, 0).splitlines())
        return [fields for fields in found if fields is not None]

    async def read_on(self, stream: str, position: str = "", max_bytes: int = PIECE_BYTES) -> Piece:
        def read() -> Piece:
            self._check_stream(stream)
            return read_piece(self._vault, stream, position, max_bytes)

        return await to_thread.run_sync(read)

    async def verify(self, stream: str | None = None) -> VerifyReport:
        return await to_thread.run_sync(self._verify, stream)

    def _verify(self, stream: str | None) -> VerifyReport:
        if stream is not None:
            self._check_stream(stream)
        reports = [self._verify_one(name) for name in (self._streams() if stream is None else [stream])]
        return VerifyReport(
            sum(r.entries for r in reports),
            sum(r.unchained for r in reports),
            tuple(f for r in reports for f in r.findings),
        )

    def _verify_one(self, stream: str) -> VerifyReport:
        files = ((info.path, self._vault.read_from(info.path, 0)) for info in day_files(self._vault, stream))
        return verify_stream(stream, files)

    def close(self) -> None:
        """Keep what was learned and close all files; they are opened again when needed. Idempotent."""
        for log in list(self._logs.values()):
            with suppress(ArgosyError):  # a vault that is gone, or a writer that hangs: it is learned anew
                log.save()
        self._cache.close()
