"""Writing heads down where the chains cannot take them along: each log's `anchors.md`, and the fleet's stream."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import anyio

from argosy_core.clock import Clock, parse_time, rfc3339
from argosy_core.errors import AlreadyExists, ArgosyError, Conflict, Corrupted, NotFound, Unavailable
from argosy_core.storage.base import ABSENT, Head, Store
from argosy_core.storage.chain_anchors import ANCHOR, MAX_HEADS, Anchor, anchors_path, read_anchors, with_rows
from argosy_core.storage.day_chain import FLEET
from argosy_log.event_feed import LOG_WRITER
from argosy_log.event_index import EventIndex
from argosy_log.event_pages import newest_page, writers_of
from argosy_log.events import Scope
from argosy_log.query import Query

DUE_ENTRIES = 1000  # a head that moved so far is written down at once
STOP_ENTRIES = 64  # the same when a server stops
DUE_AGE = timedelta(days=1)
STOP_AGE = timedelta(hours=1)
CHECK_SECONDS = 600.0
_ATTEMPTS = 20


class Anchoring:
    """Anchors of all streams of one store."""

    def __init__(self, store: Store, index: EventIndex, clock: Clock) -> None:
        self._store = store
        self._index = index
        self._clock = clock

    async def anchor(self) -> list[Anchor]:
        """Write all heads down, durably: what moved in the tables, and all together in the fleet's stream."""
        self._index.is_used = True  # worth opening for the right times
        heads = await self._heads()
        moved = [head for head, anchor in heads if anchor is None or (anchor.seq, anchor.hash) != (head.seq, head.hash)]
        rows = await self._anchors(moved)
        await self._add_rows(rows)
        await self._tell(await self._anchors([head for head, _ in heads]))
        return rows

    async def anchor_if_due(self, *, stops: bool = False, tells: bool = True) -> list[Anchor]:
        """Write down the heads that moved far, or whose last anchor is old; sooner when the server *stops*.

        With *tells* in the fleet's stream too, where every other anchor goes when a head moved far.
        """
        entries, age = (STOP_ENTRIES, STOP_AGE) if stops else (DUE_ENTRIES, DUE_AGE)
        due: list[Head] = []
        for head, anchor in await self._heads():
            # A row that is ahead of the log is no measure of how far it came; `log_verify` tells of it.
            moved = head.seq - (anchor.seq if anchor and anchor.seq <= head.seq else 0)
            is_old = anchor is None or self._clock.now() - parse_time(anchor.time) >= age
            if moved >= entries or (moved > 0 and is_old):
                due.append(head)
                tells |= moved >= DUE_ENTRIES
        rows = await self._anchors(due)
        await self._add_rows(rows)
        if tells:
            await self._tell(rows)
        return rows

    async def keep(self, stop: anyio.Event) -> None:
        """Look now and then whether an anchor is due, and once more at the end."""
        while not stop.is_set():
            with anyio.move_on_after(CHECK_SECONDS):
                await stop.wait()
            try:
                await self.anchor_if_due(stops=stop.is_set())
            except ArgosyError:
                continue  # a log that cannot be written to is told by every append

    async def _heads(self) -> list[tuple[Head, Anchor | None]]:
        """Each head with its last row; without the one that only our own anchors move."""
        found: list[tuple[Head, Anchor | None]] = []
        for stream in await self._store.chain.streams():
            last = await self._last(stream)
            heads = await self._store.chain.heads(stream)
            found += [(h, last.get(h.writer)) for h in heads if (h.stream, h.writer) != (FLEET, LOG_WRITER)]
        return found

    async def _last(self, stream: str) -> dict[str, Anchor]:
        """The last row of each writer in the stream's own table."""
        text, _ = await self._table(stream)
        found, _ = read_anchors(text or "", anchors_path(stream))
        return {anchor.writer: anchor for anchor in found if anchor.stream == stream}

    async def _anchors(self, heads: Sequence[Head]) -> list[Anchor]:
        streams = sorted({head.stream for head in heads})
        times = await self._times(streams) if self._index.is_used else {}
        counts = {name: sum(head.seq for head in await self._store.chain.heads(name)) for name in streams}
        now = rfc3339(self._clock.now())
        found: list[Anchor] = []
        for head in heads:
            seq, at = times.get(head.stream, {}).get(head.writer, (0, now))
            time = at if seq == head.seq else now
            found.append(Anchor(time, head.stream, head.writer, head.seq, head.hash, counts[head.stream]))
        return found

    async def _times(self, streams: Sequence[str]) -> dict[str, dict[str, tuple[int, str]]]:
        """Number and time of each writer's newest entry, as far as known; what is not was written just now."""
        with suppress(Corrupted, Unavailable):
            found, _ = await self._index.ask_fresh(streams, lambda db: {name: writers_of(db, name) for name in streams})
            return found
        return {}

    async def _table(self, stream: str) -> tuple[str | None, str]:
        try:
            content = await self._store.documents.read(anchors_path(stream))
        except NotFound:
            return None, ABSENT
        return content.data.decode("utf-8", "replace"), content.version

    async def _add_rows(self, anchors: Sequence[Anchor]) -> None:
        for stream in sorted({anchor.stream for anchor in anchors}):
            await self._add_rows_of(stream, [anchor for anchor in anchors if anchor.stream == stream])

    async def _add_rows_of(self, stream: str, anchors: Sequence[Anchor]) -> None:
        for attempt in range(_ATTEMPTS):
            text, version = await self._table(stream)
            try:
                data = with_rows(text, anchors).encode()
                await self._store.documents.write(anchors_path(stream), data, expect=version)
                return
            except (Conflict, AlreadyExists):
                if attempt == _ATTEMPTS - 1:
                    raise

    async def _tell(self, anchors: Sequence[Anchor]) -> None:
        """Put *anchors* into the fleet's stream, unless its last anchor event says the same."""
        told = [anchor.as_json() for anchor in anchors]
        if not told or await self._last_told() == told:
            return
        for start in range(0, len(told), MAX_HEADS):
            event = {"kind": ANCHOR, "heads": told[start : start + MAX_HEADS]}
            await self._store.chain.append(FLEET, LOG_WRITER, event)

    async def _last_told(self) -> object:
        """The heads in the fleet's last anchor event."""
        query = Query(Scope((FLEET,)), kinds=(ANCHOR,))
        with suppress(Corrupted, Unavailable):
            found, _ = await self._index.ask_fresh([FLEET], lambda db: newest_page(db, query, 1, None))
            return found.events[0].fields.get("heads") if found.events else None
        return None
