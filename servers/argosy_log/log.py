"""The log of a vault: what is appended, and the questions that its events answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import anyio

from argosy_core.errors import ArgosyError, InvalidArgument, NotFound
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import DoctorFinding, clamp_limit, decode_cursor, encode_cursor
from argosy_core.storage.base import VerifyReport
from argosy_core.storage.chain_anchors import ANCHOR
from argosy_core.storage.chain_lines import RESERVED
from argosy_core.storage.chain_trail import REDACTION
from argosy_core.storage.chain_v0 import V0_ENTRY
from argosy_core.storage.day_chain import FLEET
from argosy_core.types import Caller, Role
from argosy_log.access import Access
from argosy_log.anchoring import Anchoring
from argosy_log.day_files import DayFiles
from argosy_log.doctor import examine
from argosy_log.event_index import EventIndex
from argosy_log.exporting import Exporting
from argosy_log.indexed_events import IndexedEvents
from argosy_log.items import item_of
from argosy_log.measuring import Measuring
from argosy_log.models import (
    Anchored,
    AnchoredHead,
    Appended,
    ChainFinding,
    HeadPage,
    LogPage,
    Redacted,
    RunTrace,
    StreamHead,
    Verified,
)
from argosy_log.query import MAX_NAME_CHARS, build_query
from argosy_log.reader import EventReader
from argosy_log.redacting import Redacting
from argosy_log.trace import build_trace

MAX_FINDINGS = 500
_KIND = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
# `kind` is an argument of its own; a body's `key` would be taken for the append's.
_RESERVED = RESERVED | {"kind", "key"}
_OWN_KINDS = frozenset({ANCHOR, REDACTION, V0_ENTRY})  # they prove other entries


class Log:
    """Appends to and reads the streams of one vault, for every caller."""

    def __init__(self, config: ServerConfig, reader: EventReader | None = None) -> None:
        self._store = config.store
        self._chain = config.store.chain
        self._clock = config.clock
        self._access = Access(config.store)
        self.index = config.store.shared(
            "log index", lambda: EventIndex(config.store, config.clock), EventIndex.close_file
        )
        self._reader = reader or IndexedEvents(self.index, DayFiles(config.store.documents))
        self.measuring = Measuring(config.store, self.index, self._access)
        self.exporting = Exporting(self.index, self._access)
        self.anchoring = Anchoring(config.store, self.index, config.clock)
        self.redacting = Redacting(config.store, self.index)

    async def append(
        self, caller: Caller, kind: str, body: Mapping[str, Any], key: str | None, expect_seq: int | None
    ) -> Appended:
        """Add an event to the caller's stream. Raises InvalidArgument, NotFound (no such agent), Conflict."""
        _check_append(kind, body, key)
        event: dict[str, Any] = {"kind": kind, **body}
        if caller.run is not None:
            event.setdefault("run_id", caller.run)
        stream = caller.agent or FLEET
        writer = "host" if caller.role is Role.HOST else "operator"
        entry = await self._chain.append(stream, writer, event, key=key, expect_seq=expect_seq)
        self._store.bell.ring(f"{stream}/log/{entry.ts[:7]}/{entry.ts[:10]}.jsonl")
        return Appended(stream=entry.stream, writer=entry.writer, seq=entry.seq, hash=entry.hash)

    async def query(self, caller: Caller, agent: str | None, limit: int, cursor: str | None, **filters: Any) -> LogPage:
        """Events that pass *filters* (those of `build_query`), newest first."""
        query = build_query(await self._access.scope(caller, agent), **filters)
        found = await self._reader.newest(query, clamp_limit(limit), cursor)
        return LogPage(items=list(map(item_of, found.events)), next_cursor=found.cursor, notes=list(found.notes))

    async def trace(self, caller: Caller, run: str) -> RunTrace:
        """The tree of *run*. Raises NotFound when the caller can see no event of it."""
        if not 0 < len(run) <= MAX_NAME_CHARS:
            raise InvalidArgument(f"a run's id has 1 to {MAX_NAME_CHARS} characters")
        found = await self._reader.run_tree(await self._access.scope(caller), run)
        if not found.events:
            hint = 'log_query with kinds ["run.start"] lists the runs'
            raise NotFound(f"no event of a run {run!a} is in sight", hint=hint)
        return build_trace(run, found.events, found.notes)

    async def heads(self, caller: Caller, stream: str | None, limit: int, cursor: str | None) -> HeadPage:
        """The last entry of each writer. Raises PermissionDenied, NotFound."""
        found = [head for name in await self._access.streams(caller, stream) for head in await self._chain.heads(name)]
        after = tuple(decode_cursor(cursor, 2)) if cursor else ("", "")
        if not all(isinstance(part, str) for part in after):
            raise InvalidArgument("not a cursor of this list", hint="pass next_cursor unchanged, or leave cursor out")
        rest = sorted((h for h in found if (h.stream, h.writer) > after), key=lambda h: (h.stream, h.writer))
        page = rest[: clamp_limit(limit)]
        more = encode_cursor(page[-1].stream, page[-1].writer) if len(rest) > len(page) else None
        items = [StreamHead(stream=h.stream, writer=h.writer, seq=h.seq, hash=h.hash) for h in page]
        return HeadPage(items=items, next_cursor=more)

    async def verify(self, caller: Caller, stream: str | None) -> Verified:
        """Check the chains that the caller may see. Raises PermissionDenied, NotFound."""
        reports = await self._reports(caller, stream)
        findings = [finding for report in reports for finding in report.findings]
        shown = [
            ChainFinding(kind=f.kind, stream=f.stream, writer=f.writer, seq=f.seq, file=f.file, detail=f.detail)
            for f in findings[:MAX_FINDINGS]
        ]
        return Verified(
            ok=not findings,
            entries=sum(report.entries for report in reports),
            unchained=sum(report.unchained for report in reports),
            findings=shown,
            left_out=len(findings) - len(shown),
            notes=[note for report in reports for note in report.notes],
        )

    async def _reports(self, caller: Caller, stream: str | None) -> list[VerifyReport]:
        if caller.role is Role.OPERATOR and stream is None:
            return [await self._chain.verify()]  # together, so that a log that is gone is missed
        return [await self._chain.verify(name) for name in await self._access.streams(caller, stream)]

    async def anchor(self) -> Anchored:
        """Write down all heads that moved."""
        anchors = await self.anchoring.anchor()
        return Anchored(items=[AnchoredHead(**anchor.as_json()) for anchor in anchors])

    async def redact(self, caller: Caller, stream: str, writer: str, seq: int, why: str) -> Redacted:
        """Take an entry's text away. Raises PermissionDenied, NotFound, Corrupted, InvalidArgument."""
        (name,) = await self._access.streams(caller, stream)
        return await self.redacting.redact(caller, name, writer, seq, why)

    async def work(self, stop: anyio.Event) -> None:
        """What the fleet's background process does for the log."""
        with suppress(ArgosyError):
            await self.redacting.finish_begun()
        await self.anchoring.keep(stop)

    async def close(self) -> None:
        """End background work, and write down heads that moved far since they were last."""
        with suppress(ArgosyError):
            await self.anchoring.anchor_if_due(stops=True, tells=False)
        await self.index.close()

    # What the server base asks

    async def counts(self, agent: str | None) -> dict[str, int]:
        streams = await self._chain.streams()
        own = streams if agent is None else [agent]
        counts = {
            "events_today": await self._reader.count(own, self._clock.now().date()),
            "streams": len(streams),
        }
        if agent is not None:
            counts |= {f"entries_{head.writer}": head.seq for head in await self._chain.heads(agent)}
        return counts

    async def doctor(self, agent: str | None) -> Sequence[DoctorFinding]:
        with suppress(ArgosyError):
            await self.redacting.finish_begun()
        return await examine(self._store)

    def uris_of(self, path: str) -> list[str]:
        parts = path.split("/")
        is_day = len(parts) == 4 and parts[1] == "log" and path.endswith(".jsonl")
        # A client may have subscribed to a name of another script as it is, or percent-encoded.
        return sorted({f"log://{name}/head" for name in (parts[0], quote(parts[0]))}) if is_day else []


def _check_append(kind: str, body: Mapping[str, Any], key: str | None) -> None:
    if len(kind) > 100 or not _KIND.fullmatch(kind):
        raise InvalidArgument("a kind is lower-case words joined by dots", hint="like run.start or memory.write")
    if kind in _OWN_KINDS:
        raise InvalidArgument(f"events of kind {kind} are the log's own", hint="log_anchor and log_redact write them")
    taken = sorted(_RESERVED & body.keys())
    if taken:
        hint = "the log writes these fields itself; choose other names"
        raise InvalidArgument(f"body must not hold {', '.join(taken)}", hint=hint)
    if key is not None and (not 0 < len(key) <= MAX_NAME_CHARS or not key.isprintable()):
        raise InvalidArgument(f"a key is one line of 1 to {MAX_NAME_CHARS} characters")
