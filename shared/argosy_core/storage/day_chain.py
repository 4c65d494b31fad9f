"""A chain whose entries can be read as day files: what is the same over every substrate that gives `Files`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from argosy_core.errors import Unavailable
from argosy_core.off_loop import off_loop
from argosy_core.storage.base import PIECE_BYTES, Entry, Files, Head, Piece, VerifyReport
from argosy_core.storage.chain_anchors import anchors_path
from argosy_core.storage.chain_appends import Append, asked
from argosy_core.storage.chain_days import day_files
from argosy_core.storage.chain_lines import parse_line
from argosy_core.storage.chain_reading import read_piece
from argosy_core.storage.chain_verify import verify_streams
from argosy_core.storage.gathering import Gathering

FLEET = "_fleet"


class DayChain(ABC):
    """`Chain` over *files*; each call is one hop to a worker thread. Appends that arrive together are one sync."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._gathering = Gathering(self._append_batch)

    @abstractmethod
    def _append_batch(self, lane: str, appends: Sequence[Append]) -> None:
        """Write *appends* together, durably, and finish or fail each."""

    @abstractmethod
    def _find(self, stream: str, writer: str, key: str) -> Entry | None: ...

    @abstractmethod
    def _heads_of(self, stream: str) -> Mapping[str, tuple[int, str]]:
        """Number and hash of the last entry of each writer. Raises NotFound."""

    @abstractmethod
    def _streams(self) -> Sequence[str]: ...

    @abstractmethod
    def _check_stream(self, stream: str) -> None:
        """Raises NotFound for what is no stream."""

    def _lane(self, stream: str) -> str:
        """Appends of one lane are written together."""
        return stream

    async def append(
        self,
        stream: str,
        writer: str,
        event: Mapping[str, Any],
        *,
        key: str | None = None,
        expect_seq: int | None = None,
    ) -> Entry:
        append = asked(stream, writer, event, key, expect_seq)
        await self._gathering.submit(self._lane(stream), append)
        return append.result()

    def append_here(self, stream: str, writer: str, event: Mapping[str, Any], key: str | None = None) -> Entry:
        """`append` for code that is off the event loop already: it blocks, and shares its sync with nobody."""
        append = asked(stream, writer, event, key)
        self._append_batch(self._lane(stream), [append])
        if not append.is_done:
            raise Unavailable("the log could not be written", hint="try again")
        return append.result()

    # Reading

    async def find(self, stream: str, writer: str, key: str) -> Entry | None:
        return await off_loop(self._find, stream, writer, key)

    async def heads(self, stream: str | None = None) -> Sequence[Head]:
        return await off_loop(self._heads, stream)

    def _heads(self, stream: str | None) -> list[Head]:
        names = self._streams() if stream is None else [stream]
        heads = {name: self._heads_of(name) for name in names}
        return [Head(name, writer, *head) for name in names for writer, head in sorted(heads[name].items())]

    async def streams(self) -> Sequence[str]:
        return await off_loop(self._streams)

    async def scan(
        self, stream: str, *, since: date | None = None, until: date | None = None, newest_first: bool = False
    ) -> AsyncIterator[Mapping[str, Any]]:
        paths = await off_loop(self._days, stream, since, until)
        for path in reversed(paths) if newest_first else paths:
            found = await off_loop(self._lines_of, path)
            for fields in reversed(found) if newest_first else found:
                yield fields

    def _days(self, stream: str, since: date | None, until: date | None) -> list[str]:
        self._check_stream(stream)
        first, last = since.isoformat() if since else "", until.isoformat() if until else "~"
        paths = [info.path for info in day_files(self._files, stream)]
        return [path for path in paths if first <= path.rpartition("/")[2].removesuffix(".jsonl") <= last]

    def _lines_of(self, path: str) -> list[dict[str, Any]]:
        found = map(parse_line, self._files.read_from(path, 0).splitlines())
        return [fields for fields in found if fields is not None]

    async def read_on(self, stream: str, position: str = "", max_bytes: int = PIECE_BYTES) -> Piece:
        def read() -> Piece:
            self._check_stream(stream)
            return read_piece(self._files, stream, position, max_bytes)

        return await off_loop(read)

    async def verify(self, stream: str | None = None) -> VerifyReport:
        def verify() -> VerifyReport:
            if stream is not None:
                self._check_stream(stream)
            return verify_streams(self, stream)

        return await off_loop(verify)

    def stored_streams(self) -> Sequence[str]:
        return self._streams()

    def stored_days(self, stream: str) -> Iterable[tuple[str, bytes]]:
        return ((info.path, self._files.read_from(info.path, 0)) for info in day_files(self._files, stream))

    def stored_anchors(self, stream: str) -> str | None:
        path = anchors_path(stream)
        return None if self._files.info(path) is None else self._files.read_from(path, 0).decode("utf-8", "replace")

    async def redact(self, stream: str, writer: str, seq: int) -> Entry:
        return await off_loop(self._redact, stream, writer, seq)

    @abstractmethod
    def _redact(self, stream: str, writer: str, seq: int) -> Entry:
        """As `Chain.redact`."""
