"""Chains as JSONL files, one a day: ``<stream>/log/YYYY-MM/YYYY-MM-DD.jsonl``.

Appends that arrive while one is being synced are written together by the next: one lock, one write, one sync.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import anyio
from anyio import CancelScope, to_thread

from argosy_core.canonical import canonical_json
from argosy_core.clock import Clock, rfc3339
from argosy_core.errors import ArgosyError, Conflict, InvalidArgument, NotFound, Unavailable
from argosy_core.ids import Ids
from argosy_core.storage.base import Entry, FileInfo, Head, VerifyReport
from argosy_core.storage.files.chain_lines import (
    NO_PREVIOUS,
    check_event,
    event_of,
    is_chained,
    make_entry,
    parse_line,
)
from argosy_core.storage.files.chain_state import ChainCache, StreamState
from argosy_core.storage.files.chain_verify import verify_stream
from argosy_core.vault import STATE_FOLDER, Vault

FLEET = "_fleet"
SAVE_EVERY = 256  # entries between two savings of the cache
SALT_BYTES = 16


@dataclass(slots=True)
class _Ticket:
    """One append waiting for its batch."""

    writer: str
    event: Mapping[str, Any]
    key: str | None
    expect_seq: int | None
    outcome: Entry | ArgosyError | None = None
    turn: anyio.Event = field(default_factory=anyio.Event)


class FileChain:
    """`Chain` over a vault. Call `close` to keep what was learned for the next start."""

    def __init__(self, vault: Vault, clock: Clock, ids: Ids) -> None:
        self._vault = vault
        self._clock = clock
        self._ids = ids
        self._cache = ChainCache(vault.root / STATE_FOLDER / "chain.sqlite")
        self._states: dict[str, StreamState] = {}
        self._waiting: dict[str, list[_Ticket]] = {}
        self._busy: set[str] = set()

    async def append(
        self,
        stream: str,
        writer: str,
        event: Mapping[str, Any],
        *,
        key: str | None = None,
        expect_seq: int | None = None,
    ) -> Entry:
        check_event(event)
        _check_writer(writer)
        event = {**event, "key": key} if key is not None else event
        ticket = _Ticket(writer, event, key, expect_seq)
        waiting = self._waiting.setdefault(stream, [])
        waiting.append(ticket)
        try:
            while ticket.outcome is None:
                if stream in self._busy:
                    await ticket.turn.wait()
                    ticket.turn = anyio.Event()
                else:
                    await self._write_batch(stream)
        except BaseException:
            if ticket in self._waiting[stream]:
                self._waiting[stream].remove(ticket)
            self._pass_turn(stream)
            raise
        if isinstance(ticket.outcome, ArgosyError):
            raise ticket.outcome
        return ticket.outcome

    async def _write_batch(self, stream: str) -> None:
        batch, self._waiting[stream] = self._waiting[stream], []
        self._busy.add(stream)
        try:
            with CancelScope(shield=True):
                await to_thread.run_sync(self._append_batch, stream, batch)
        finally:
            self._busy.discard(stream)
            for ticket in batch:
                if ticket.outcome is None:
                    ticket.outcome = Unavailable("the log could not be written", hint="try again")
                ticket.turn.set()
            self._pass_turn(stream)

    def _pass_turn(self, stream: str) -> None:
        waiting = self._waiting[stream]
        if waiting and stream not in self._busy:
            waiting[0].turn.set()

    # Below: worker thread

    def _append_batch(self, stream: str, batch: Sequence[_Ticket]) -> None:
        try:
            self._check_stream(stream)
            with self._vault.lock(f"{stream}/log"):
                self._append_locked(stream, batch)
        except ArgosyError as exc:
            for ticket in batch:
                ticket.outcome = exc

    def _append_locked(self, stream: str, batch: Sequence[_Ticket]) -> None:
        state = self._catch_up(stream)
        file = max(self._today(stream), state.file)
        heads, made, lines = dict(state.heads), list[tuple[_Ticket, Entry]](), list[bytes]()
        repeats: dict[tuple[str, str], Entry] = {}
        for ticket in batch:
            try:
                if (known := self._known(stream, state, ticket, repeats)) is not None:
                    ticket.outcome = known
                    continue
                entry, line = self._entry(stream, heads, ticket)
            except ArgosyError as exc:
                ticket.outcome = exc
                continue
            heads[ticket.writer] = (entry.seq, entry.hash)
            if ticket.key is not None:
                repeats[ticket.writer, ticket.key] = entry
                state.fresh_keys[ticket.writer, ticket.key] = line.decode()
            made.append((ticket, entry))
            lines.append(line)
        if lines:
            state.offset = self._vault.append(file, b"".join(lines))
            state.file, state.heads = file, heads
            state.unsaved += len(lines)
            if state.unsaved >= SAVE_EVERY or state.fresh_keys:
                self._cache.save(stream, state)
        for ticket, entry in made:
            ticket.outcome = entry

    def _entry(self, stream: str, heads: Mapping[str, tuple[int, str]], ticket: _Ticket) -> tuple[Entry, bytes]:
        seq, last = heads.get(ticket.writer, (0, ""))
        if ticket.expect_seq is not None and ticket.expect_seq != seq + 1:
            raise Conflict(
                f"the next entry of {ticket.writer} in {stream} is {seq + 1}, not {ticket.expect_seq}",
                hint="read the head again",
                seq=seq,
            )
        prev = bytes.fromhex(last) if last else NO_PREVIOUS
        ts = rfc3339(self._clock.now())
        return make_entry(stream, ticket.writer, seq + 1, prev, ts, ticket.event, self._ids.random(SALT_BYTES))

    def _known(
        self, stream: str, state: StreamState, ticket: _Ticket, repeats: Mapping[tuple[str, str], Entry]
    ) -> Entry | None:
        """The entry that was appended under this ticket's key, if there is one."""
        if ticket.key is None:
            return None
        entry = repeats.get((ticket.writer, ticket.key)) or self._entry_of_key(stream, state, ticket.writer, ticket.key)
        if entry is None:
            return None
        if canonical_json(entry.event) != canonical_json(ticket.event):
            raise Conflict(
                f"the key {ticket.key!r} was used for another event",
                hint="use a new key for a new event",
                seq=entry.seq,
            )
        return entry

    def _entry_of_key(self, stream: str, state: StreamState, writer: str, key: str) -> Entry | None:
        line = state.fresh_keys.get((writer, key)) or self._cache.line_of_key(stream, writer, key)
        fields = parse_line(line.encode()) if line else None
        return _entry_of(fields) if fields else None

    def _catch_up(self, stream: str) -> StreamState:
        state = self._states.get(stream)
        if state is None:
            state = self._states[stream] = self._cache.load(stream)
        if state.file == self._today(stream) and self._is_current(state):
            return state
        files = self._files(stream, state.file)
        if state.file and (not files or files[0].path != state.file or files[0].stamp[1] < state.offset):
            # The log is shorter than what was read: an older copy was put back. Start over; `verify` names it.
            self._cache.forget(stream)
            state = self._states[stream] = StreamState()
            files = self._files(stream, "")
        for info in files:
            start = state.offset if info.path == state.file else 0
            if info.stamp[1] > start:
                self._read_on(stream, state, info.path, start, last=info is files[-1])
        return state

    def _is_current(self, state: StreamState) -> bool:
        info = self._vault.info(state.file)
        return info is not None and info.stamp[1] == state.offset

    def _today(self, stream: str) -> str:
        day = self._clock.now().date()
        return f"{stream}/log/{day:%Y-%m}/{day:%Y-%m-%d}.jsonl"

    def _files(self, stream: str, start: str) -> list[FileInfo]:
        if start:
            month = start.rsplit("/", 1)[0]
            # The common case: nothing but the known file. Listing one month's folder is enough until a new month.
            tail = [info for info in self._vault.files(month, ".jsonl") if info.path >= start]
            later = [name for name in self._vault.folders(f"{stream}/log") if f"{stream}/log/{name}" > month]
            return tail + [i for name in later for i in self._vault.files(f"{stream}/log/{name}", ".jsonl")]
        return list(self._vault.walk(f"{stream}/log", ".jsonl"))

    def _read_on(self, stream: str, state: StreamState, path: str, start: int, *, last: bool) -> None:
        data = self._vault.read_from(path, start)
        whole = data.rfind(b"\n") + 1
        for line in data[:whole].splitlines():
            self._learn(state, line)
        if whole < len(data) and last:
            whole = self._mend_tail(state, path, start, data, whole)
        state.file, state.offset = path, start + whole
        self._cache.save(stream, state)

    def _mend_tail(self, state: StreamState, path: str, start: int, data: bytes, whole: int) -> int:
        tail = data[whole:]
        if parse_line(tail) is not None:  # a person's editor left the newline out
            self._vault.append(path, b"\n")
            self._learn(state, tail)
            return len(data) + 1
        self._vault.cut_tail(path, start + whole)
        return whole

    def _learn(self, state: StreamState, line: bytes) -> None:
        fields = parse_line(line)
        if fields is None or not is_chained(fields):
            return
        writer, seq = str(fields["writer"]), fields["seq"]
        if isinstance(seq, int) and seq >= state.heads.get(writer, (0, ""))[0]:
            state.heads[writer] = (seq, str(fields["hash"]))
        if isinstance(fields.get("key"), str):
            state.fresh_keys[writer, fields["key"]] = line.decode("utf-8", "replace")

    def _check_stream(self, stream: str) -> None:
        if stream in self._states or stream == FLEET:
            return
        if "/" in stream or stream not in self._vault.folders():
            raise NotFound(f"there is no agent {stream!r} to log for", hint="agent_list shows the agents")

    # Reading

    async def find(self, stream: str, writer: str, key: str) -> Entry | None:
        return await to_thread.run_sync(self._find, stream, writer, key)

    def _find(self, stream: str, writer: str, key: str) -> Entry | None:
        self._check_stream(stream)
        with self._vault.lock(f"{stream}/log"):
            return self._entry_of_key(stream, self._catch_up(stream), writer, key)

    async def heads(self, stream: str | None = None) -> Sequence[Head]:
        return await to_thread.run_sync(self._heads, stream)

    def _heads(self, stream: str | None) -> list[Head]:
        found: list[Head] = []
        for name in [stream] if stream else self._streams():
            self._check_stream(name)
            with self._vault.lock(f"{name}/log"):
                heads = dict(self._catch_up(name).heads)
            found += [Head(name, writer, seq, entry) for writer, (seq, entry) in sorted(heads.items())]
        return found

    async def streams(self) -> Sequence[str]:
        return await to_thread.run_sync(self._streams)

    def _streams(self) -> list[str]:
        return [name for name in self._vault.folders() if "log" in self._vault.folders(name)]

    async def scan(
        self, stream: str, *, since: date | None = None, until: date | None = None, newest_first: bool = False
    ) -> AsyncIterator[Mapping[str, Any]]:
        infos = await to_thread.run_sync(lambda: list(self._vault.walk(f"{stream}/log", ".jsonl")))
        for info in reversed(infos) if newest_first else infos:
            if not _within(info.path, since, until):
                continue
            content = await to_thread.run_sync(self._vault.read_from, info.path, 0)
            lines = content.splitlines()
            for line in reversed(lines) if newest_first else lines:
                if (fields := parse_line(line)) is not None:
                    yield fields

    async def verify(self, stream: str | None = None) -> VerifyReport:
        return await to_thread.run_sync(self._verify, stream)

    def _verify(self, stream: str | None) -> VerifyReport:
        reports = [verify_stream(self._vault, name) for name in ([stream] if stream else self._streams())]
        return VerifyReport(
            sum(r.entries for r in reports),
            sum(r.unchained for r in reports),
            tuple(f for r in reports for f in r.findings),
        )

    def close(self) -> None:
        """Keep what was learned. Idempotent."""
        for stream, state in self._states.items():
            if state.unsaved or state.fresh_keys:
                self._cache.save(stream, state)


def _within(path: str, since: date | None, until: date | None) -> bool:
    day = path.rsplit("/", 1)[-1].removesuffix(".jsonl")
    return not ((since and day < since.isoformat()) or (until and day > until.isoformat()))


def _entry_of(fields: Mapping[str, Any]) -> Entry:
    return Entry(
        fields["stream"],
        fields["writer"],
        fields["seq"],
        fields["prev"],
        fields["digest"],
        fields["hash"],
        fields["ts"],
        event_of(fields),
    )


def _check_writer(writer: str) -> None:
    if not 0 < len(writer) <= 100 or not writer.isprintable():
        raise InvalidArgument("a writer is a name of 1 to 100 printable characters")
