"""Chains as JSONL files, one a day: ``<stream>/log/YYYY-MM/YYYY-MM-DD.jsonl``.

Appends that arrive while one is being synced are written together by the next: one lock, one write, one sync.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError, NotFound
from argosy_core.ids import Ids
from argosy_core.storage.base import Entry
from argosy_core.storage.chain_appends import Append
from argosy_core.storage.day_chain import FLEET, DayChain
from argosy_core.storage.files.chain_state import ChainCache
from argosy_core.storage.files.chain_stream import StreamLog
from argosy_core.vault import STATE_FOLDER, Vault

MAX_HELD_FILES = 32  # streams beyond that open their file for each append


class FileChain(DayChain):
    """`Chain` over a vault. Call `close` to keep what was learned for the next start."""

    def __init__(self, vault: Vault, clock: Clock, ids: Ids) -> None:
        super().__init__(vault)
        self._vault = vault
        self._clock = clock
        self._ids = ids
        self._cache = ChainCache(vault.root / STATE_FOLDER / "chain.sqlite")
        self._logs: dict[str, StreamLog] = {}

    def _append_batch(self, lane: str, appends: Sequence[Append]) -> None:
        self._log(lane).append(appends)

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

    def _find(self, stream: str, writer: str, key: str) -> Entry | None:
        return self._log(stream).find(writer, key)

    def _heads_of(self, stream: str) -> Mapping[str, tuple[int, str]]:
        return self._log(stream).heads()

    def _redact(self, stream: str, writer: str, seq: int) -> Entry:
        return self._log(stream).redact(writer, seq)

    def _streams(self) -> list[str]:
        return [name for name in self._vault.folders() if "log" in self._vault.folders(name)]

    def close(self) -> None:
        """Keep what was learned and close all files; they are opened again when needed. Idempotent."""
        for log in list(self._logs.values()):
            with suppress(ArgosyError):  # a vault that is gone, or a writer that hangs: it is learned anew
                log.save()
        self._cache.close()
