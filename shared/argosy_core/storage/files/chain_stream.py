"""One stream's chain from the appender's side. All of it runs in worker threads and holds the stream's lock."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError, NotFound
from argosy_core.held_file import HeldFile
from argosy_core.ids import Ids
from argosy_core.storage.base import Entry, FileInfo
from argosy_core.storage.chain_appends import Append, AppendBatch, entry_of_line
from argosy_core.storage.chain_days import day_files, day_path, log_folder
from argosy_core.storage.chain_lines import can_be_followed, is_torn_write, parse_line
from argosy_core.storage.chain_redaction import StoredLine, find_entry, no_entry, redact_line
from argosy_core.storage.files.chain_state import TAIL_BYTES, CacheLost, ChainCache, StreamState
from argosy_core.vault import Vault

T = TypeVar("T")
SAVE_EVERY = 256  # entries between two savings of the cache
PIECE_BYTES = 8 * 1024 * 1024
MAX_WRITE_BYTES = 64 * 1024 * 1024  # no group commit comes near it


class _Known:
    """What was learned of a stream, for a batch of appends."""

    def __init__(self, state: StreamState, find: Callable[[StreamState, str, str], Entry | None]) -> None:
        self._state = state
        self._find = find

    def head(self, writer: str) -> tuple[int, str]:
        return self._state.heads.get(writer, (0, ""))

    def entry_of_key(self, writer: str, key: str) -> Entry | None:
        return self._find(self._state, writer, key)


class StreamLog:
    """Appends to one stream, and knows its heads and keys.

    With *hold* the newest file stays open between appends. Several processes may do all this on one stream at once.
    """

    def __init__(self, stream: str, vault: Vault, clock: Clock, ids: Ids, cache: ChainCache, *, hold: bool) -> None:
        self._stream = stream
        self._vault = vault
        self._clock = clock
        self._ids = ids
        self._cache = cache
        self._hold = hold
        self._state: StreamState | None = None
        self._held: HeldFile | None = None
        self._unsynced: tuple[str, int, bytes] | None = None  # file, offset and bytes of an append that failed
        self._folders: tuple[int, ...] | None = None  # when files were last made in the log's folders

    def append(self, appends: Sequence[Append]) -> None:
        """Write *appends* together and set their outcomes. Raises ArgosyError when none of them can be written."""
        with self._vault.lock(log_folder(self._stream)):
            self._settled(lambda state: self._append(state, appends))

    def find(self, writer: str, key: str) -> Entry | None:
        """The entry that *writer* appended under *key*."""
        with self._vault.lock(log_folder(self._stream)):
            return self._settled(lambda state: self._entry_of_key(state, writer, key))

    def heads(self) -> dict[str, tuple[int, str]]:
        """Number and hash of each writer's last entry."""
        with self._vault.lock(log_folder(self._stream)):
            return dict(self._catch_up().heads)

    def save(self) -> None:
        """Keep what was learned and close the file."""
        with self._vault.lock(log_folder(self._stream)):
            state, self._held = self._state, None
            if state is not None and (state.unsaved or state.fresh_keys):
                self._cache.save(self._stream, state)

    def redact(self, writer: str, seq: int) -> Entry:
        """As `Chain.redact`. What others learned of the newest file does not hold then: they read the stream anew."""
        with self._vault.lock(log_folder(self._stream)):
            state = self._catch_up()
            for info in reversed(day_files(self._vault, self._stream)):
                data = self._vault.read_from(info.path, 0)
                found = find_entry(self._stream, writer, seq, data)
                if found is not None:
                    return self._redact(state, info.path, data, found)
        raise no_entry(self._stream, writer, seq)

    def _redact(self, state: StreamState, path: str, data: bytes, found: StoredLine) -> Entry:
        entry, line = redact_line(found.fields)
        if line is not None:
            data = data[: found.start] + line + data[found.stop :]
            self._held = None
            self._vault.replace(path, data, max_bytes=sys.maxsize)
            if path == state.file:
                state.tail, state.offset = data[-TAIL_BYTES:], len(data)
        key = found.fields.get("key")
        if isinstance(key, str):
            state.fresh_keys.pop((entry.writer, key), None)
            self._cache.forget_key(self._stream, entry.writer, key)
        self._cache.save(self._stream, state)
        self._state = None
        return entry

    def _settled(self, work: Callable[[StreamState], T]) -> T:
        try:
            return work(self._catch_up())
        except CacheLost:
            return work(self._catch_up())

    # Appending

    def _append(self, state: StreamState, appends: Sequence[Append]) -> None:
        batch = AppendBatch(self._stream, self._clock.now(), self._ids, _Known(state, self._entry_of_key))
        for append in appends:
            try:
                batch.add(append)
            except CacheLost:
                raise
            except ArgosyError as exc:
                append.fail(exc)
        if batch.made:
            self._write(state, batch)
        batch.finish()

    def _write(self, state: StreamState, batch: AppendBatch) -> None:
        file = max(day_path(self._stream, batch.moment.date()), state.file)
        data = b"".join(line for _, line in batch.made)
        offset = state.offset if file == state.file else 0
        state.read_to(file, self._append_to(file, offset, data), data)
        state.heads |= batch.heads
        state.fresh_keys |= batch.keys
        state.unsaved += len(batch.made)
        if state.unsaved >= SAVE_EVERY:
            self._cache.save(self._stream, state)

    def _append_to(self, file: str, offset: int, data: bytes) -> int:
        try:
            if not self._hold:
                return self._vault.append(file, data)
            if self._held is None or self._held.path != file:
                self._held = HeldFile(self._vault, file)
            return self._held.append(data)
        except BaseException:
            # What is known of the file does not count any more: it is opened and read again.
            self._held = self._state = None
            self._unsynced = (file, offset, data)
            raise

    def _cut_unsynced(self) -> None:
        """Take away what a failed append left in the file: it may look written, and be on no disk."""
        if self._unsynced is None:
            return
        file, offset, data = self._unsynced
        left = self._vault.read_from(file, offset)
        if left and data.startswith(left):  # nobody went on after it
            self._vault.cut_tail(file, offset)
        self._unsynced = None

    def _entry_of_key(self, state: StreamState, writer: str, key: str) -> Entry | None:
        line = state.fresh_keys.get((writer, key))
        if line is None and not state.anew:
            line = self._cache.line_of_key(self._stream, writer, key)
            if state.epoch != self._cache.epoch:
                raise CacheLost("the log's index was made anew meanwhile", hint="try again")
        return entry_of_line(line) if line else None

    # Catching up with what others wrote

    def _catch_up(self) -> StreamState:
        self._cut_unsynced()
        state = self._state
        if state is None or state.epoch != self._cache.epoch:
            state, self._folders = self._cache.load(self._stream), None
        folders, found = self._folders_of(state), self._look(state)
        is_same_file = found is not None and folders == self._folders
        if is_same_file and found and found.st_size == state.offset:
            return state
        self._state = None  # what fails below leaves nothing half learned
        if is_same_file and found:
            files = [FileInfo(state.file, (found.st_mtime_ns, found.st_size))]
        else:
            files = day_files(self._vault, self._stream, state.file)
        if state.file and not self._continues(state, files):
            # Not the log that was read: an older copy was put back, or an editor saved it. Start over; `verify` tells.
            state = StreamState(self._cache.epoch, anew=True)
            files = day_files(self._vault, self._stream)
        if not files:
            self._check_there()
        for info in files:
            self._read_on(state, info, last=info is files[-1])
        self._state, self._folders = state, folders
        return state

    def _look(self, state: StreamState) -> os.stat_result | None:
        """What stands where *state* was read; None when that is another file than the one held open."""
        found = self._vault.look(state.file) if state.file else None
        if self._held is None or (self._held.path == state.file and self._held.is_at(found)):
            return found
        self._held = None
        return None

    def _folders_of(self, state: StreamState) -> tuple[int, ...]:
        """Changes when a file is made in the log: another process may have begun a newer day than our clock has."""
        looks = [self._vault.look(path) for path in (log_folder(self._stream), state.file.rpartition("/")[0]) if path]
        return tuple(look.st_mtime_ns if look else 0 for look in looks)

    def _continues(self, state: StreamState, files: Sequence[FileInfo]) -> bool:
        """Whether the file still is what was read of it, and more."""
        if not files or files[0].path != state.file or files[0].stamp[1] < state.offset:
            return False
        tail = self._vault.read_from(state.file, state.offset - len(state.tail), len(state.tail))
        return tail == state.tail

    def _check_there(self) -> None:
        if self._vault.look(self._stream) is None and self._stream != "_fleet":
            raise NotFound(f"there is no agent {self._stream!r} any more", hint="agent_list shows the agents")

    def _read_on(self, state: StreamState, info: FileInfo, *, last: bool) -> None:
        offset = state.offset if info.path == state.file else 0
        rest = b""
        while offset + len(rest) < info.stamp[1]:
            rest += self._vault.read_from(info.path, offset + len(rest), PIECE_BYTES)
            hole = self._find_hole(info, offset, rest) if last and b"\0" in rest else None
            whole = rest.rfind(b"\n") + 1 if hole is None else hole
            for line in rest[:whole].splitlines():
                self._learn(state, line)
            offset += whole
            state.read_to(info.path, offset, rest[:whole])
            rest = rest[whole:]
            if hole is not None:
                self._vault.cut_tail(info.path, offset)
                return
        if rest and last:
            self._mend_tail(state, info.path, offset, rest)
        if state.unsaved >= SAVE_EVERY:
            self._cache.save(self._stream, state)

    def _find_hole(self, info: FileInfo, offset: int, data: bytes) -> int | None:
        """Where in *data*, read from *offset* on, begins what a power cut left of the last write."""
        start = data.rfind(b"\n", 0, data.index(b"\0")) + 1
        left = info.stamp[1] - offset - start
        is_torn = left <= MAX_WRITE_BYTES and is_torn_write(self._vault.read_from(info.path, offset + start, left))
        return start if is_torn else None

    def _mend_tail(self, state: StreamState, path: str, offset: int, tail: bytes) -> None:
        if parse_line(tail) is None:
            self._vault.cut_tail(path, offset)
            return
        self._vault.append(path, b"\n")  # a person's editor left the newline out
        self._learn(state, tail)
        state.read_to(path, offset + len(tail) + 1, tail + b"\n")

    def _learn(self, state: StreamState, line: bytes) -> None:
        state.unsaved += 1
        fields = parse_line(line)
        if fields is None or not can_be_followed(fields, self._stream):
            return
        writer, seq = fields["writer"], fields["seq"]
        if seq >= state.heads.get(writer, (0, ""))[0]:
            state.heads[writer] = (seq, fields["hash"])
        if isinstance(fields.get("key"), str):
            state.fresh_keys.setdefault((writer, fields["key"]), line.decode())
