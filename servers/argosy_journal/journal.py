"""The journal of an agent over documents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from argosy_core.canonical import sha256_hex
from argosy_core.clock import parse_time
from argosy_core.errors import AlreadyExists, Conflict, InvalidArgument, NotFound, TooLarge
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import DoctorFinding, clamp_limit, decode_offset, encode_cursor
from argosy_core.storage.base import ABSENT
from argosy_core.types import Caller
from argosy_journal.days import FOLDER, Passage, add_entry, day_of, parse_day, path_of, render_entry
from argosy_journal.models import Appended, JournalEntry, JournalPage
from argosy_journal.search import matches

MAX_ENTRY_CHARS = 20_000
TRIES = 20  # compare-and-swap rounds before a writer gives up against others on the same day


class Journal:
    """Reads and writes days; one object serves every agent of the vault."""

    def __init__(self, config: ServerConfig) -> None:
        self._documents = config.store.documents
        self._chain = config.store.chain
        self._bell = config.store.bell
        self._clock = config.clock

    async def append(self, agent: str, caller: Caller, text: str, tags: Sequence[str], key: str | None) -> Appended:
        """Add an entry to today. Raises InvalidArgument, TooLarge, Conflict (a key used for other text)."""
        _check_entry(text, tags, key)
        moment = self._clock.now()
        path = path_of(agent, moment.date())
        entry = render_entry(moment, text, tags, key)
        for _ in range(TRIES):
            content, version = await self._day(path)
            known = next((p for p in parse_day(content) if key is not None and p.key == key), None)
            if known is not None:
                return _repeat(known, text, path, moment.date(), version)
            try:
                data = add_entry(content, moment.date(), entry).encode()
                written = await self._documents.write(path, data, expect=version)
            except (Conflict, AlreadyExists):
                continue  # another writer was first: its entry is kept, ours goes after it
            await self._log(agent, caller, path, text)
            self._bell.ring(path)
            fields = _entry_fields(Passage(f"{moment:%H:%M}", text.strip(), tuple(tags), key), path, moment.date())
            return Appended(**fields, version=written.version)
        raise Conflict("many writers are at today's journal", hint="try again in a moment")

    async def _day(self, path: str) -> tuple[str, str]:
        try:
            content = await self._documents.read(path)
        except NotFound:
            return "", ABSENT
        return content.data.decode("utf-8", "replace"), content.version

    async def _log(self, agent: str, caller: Caller, path: str, text: str) -> None:
        event = {"kind": "journal.append", "path": path, "sha256": sha256_hex(text.encode()), "run_id": caller.run}
        await self._chain.append(agent, "journal", {k: v for k, v in event.items() if v is not None})

    async def read(
        self, agent: str, since: str | None, until: str | None, limit: int, cursor: str | None
    ) -> JournalPage:
        """Entries of the days *since* to *until*, oldest first; the newest *limit* when neither is given."""
        start, end = _range(since, until)
        limit = clamp_limit(limit)
        if since is None and until is None and cursor is None:
            return JournalPage(items=(await self._entries(agent, None, None, newest=limit))[-limit:])
        return _page(await self._entries(agent, start, end), limit, cursor)

    async def search(
        self, agent: str, query: str, since: str | None, until: str | None, limit: int, cursor: str | None
    ) -> JournalPage:
        """Entries that hold words of *query*: those with the most of them first, of these the newest."""
        start, end = _range(since, until)
        counted = [(matches(query, e.text, e.tags), e) for e in await self._entries(agent, start, end)]
        found = [(count, entry) for count, entry in reversed(counted) if count]
        ranked = [entry for _, entry in sorted(found, key=lambda pair: -pair[0])]
        return _page(ranked, clamp_limit(limit), cursor)

    async def _entries(
        self, agent: str, start: date | None, end: date | None, newest: int | None = None
    ) -> list[JournalEntry]:
        """Entries in order; with *newest*, reading stops at the day that makes them that many."""
        days: list[list[JournalEntry]] = []
        for info in reversed(await self._documents.list(f"{agent}/{FOLDER}", ".md", deep=True)):
            day = day_of(info.path)
            if day is None or (start and day < start) or (end and day > end):
                continue
            content, _ = await self._day(info.path)
            days.append([JournalEntry(**_entry_fields(p, info.path, day)) for p in parse_day(content)])
            if newest is not None and sum(map(len, days)) >= newest:
                break
        return [entry for entries in reversed(days) for entry in entries]

    async def day(self, agent: str, day: str) -> str:
        """One day's file as it stands. Raises NotFound."""
        path = path_of(agent, _parse_day(day, "day"))
        content = await self._documents.read(path)
        return content.data.decode("utf-8", "replace")

    # What the server base asks

    async def counts(self, agent: str | None) -> dict[str, int]:
        if agent is None:
            return {}
        infos = await self._documents.list(f"{agent}/{FOLDER}", ".md", deep=True)
        return {"days": sum(day_of(info.path) is not None for info in infos)}

    async def doctor(self, agent: str | None) -> list[DoctorFinding]:
        if agent is None:
            return []
        found: list[DoctorFinding] = []
        for info in await self._documents.list(f"{agent}/{FOLDER}", ".md", deep=True):
            content = await self._documents.read(info.path)
            try:
                content.data.decode()
            except UnicodeDecodeError as exc:
                line = content.data[: exc.start].count(b"\n") + 1
                found.append(
                    DoctorFinding(
                        status="warn",
                        check="journal_text",
                        message="not UTF-8; unreadable bytes are shown as �",
                        file=info.path,
                        line=line,
                        fix="save the file as UTF-8",
                    )
                )
        return found or [DoctorFinding(status="pass", check="journal_text", message="every day reads as text")]

    def uris_of(self, path: str) -> list[str]:
        parts = path.split("/")
        day = day_of(path) if len(parts) == 4 and parts[1] == FOLDER else None
        return [f"journal://{day}"] if day else []


def _check_entry(text: str, tags: Sequence[str], key: str | None) -> None:
    if not text.strip():
        raise InvalidArgument("an entry needs text")
    if len(text) > MAX_ENTRY_CHARS:
        raise TooLarge(f"an entry has at most {MAX_ENTRY_CHARS} characters", hint="write a note with memory_write")
    if any(not tag or any(c.isspace() or c in "#<>" for c in tag) for tag in tags) or len(tags) > 20:
        raise InvalidArgument("tags are words without spaces or '#', at most 20")
    if key is not None and (not key or len(key) > 200 or "\n" in key or "-->" in key):
        raise InvalidArgument("a key is one line of 1 to 200 characters")


def _repeat(known: Passage, text: str, path: str, day: date, version: str) -> Appended:
    if known.text != text.strip():
        raise Conflict("the key was used for another entry today", hint="use a new key for a new entry")
    return Appended(**_entry_fields(known, path, day), version=version, duplicate=True)


def _entry_fields(passage: Passage, path: str, day: date) -> dict[str, Any]:
    return {
        "day": day.isoformat(),
        "time": passage.time,
        "text": passage.text,
        "tags": list(passage.tags),
        "uri": f"journal://{day}",
        "path": path,
    }


def _page(entries: Sequence[JournalEntry], limit: int, cursor: str | None) -> JournalPage:
    start = decode_offset(cursor)
    following = encode_cursor(start + limit) if len(entries) > start + limit else None
    return JournalPage(items=list(entries[start : start + limit]), next_cursor=following)


def _range(since: str | None, until: str | None) -> tuple[date | None, date | None]:
    start = _parse_day(since, "since") if since else None
    end = _parse_day(until, "until") if until else None
    if start and end and start > end:
        raise InvalidArgument("since is after until", hint="swap them")
    return start, end


def _parse_day(text: str, name: str) -> date:
    try:
        moment: datetime = parse_time(text)
    except ValueError as exc:
        raise InvalidArgument(f"{name} is not a date: {text[:40]!r}", hint="write YYYY-MM-DD") from exc
    return moment.date()


def last_days(today: date, count: int) -> tuple[str, str]:
    """The first and last of *count* days that end today, as ISO dates."""
    return (today - timedelta(days=count - 1)).isoformat(), today.isoformat()
