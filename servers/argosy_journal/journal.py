"""The journal of an agent over documents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from argosy_core.canonical import arguments_hash
from argosy_core.clock import parse_time
from argosy_core.errors import Conflict, Corrupted, InvalidArgument, NotFound, TooLarge
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import DoctorFinding, clamp_limit, decode_offset, encode_cursor
from argosy_core.storage.growing import GrowingDocuments
from argosy_core.types import Caller
from argosy_journal.days import (
    FOLDER,
    Passage,
    addition,
    day_of,
    decode_day,
    entry_of_key,
    path_of,
    render_entry,
)
from argosy_journal.models import Appended, JournalDay, JournalDays, JournalEntry, JournalPage
from argosy_journal.reading import DayReader, Range, entry_fields
from argosy_journal.search import JournalSearch

MAX_ENTRY_CHARS = 20_000
MAX_TAGS = 20
WRITER = "journal"


class Journal:
    """Reads and writes days; one object serves every agent of the vault."""

    def __init__(self, config: ServerConfig) -> None:
        self._documents = config.store.documents
        self._chain = config.store.chain
        self._bell = config.store.bell
        self._clock = config.clock
        self._growing = GrowingDocuments(config.store.documents, config.clock, config.ids)
        self._reader = DayReader(config.store.documents)
        self._search = JournalSearch(config, self._reader)

    # Writing

    async def append(self, agent: str, caller: Caller, text: str, tags: Sequence[str], key: str | None) -> Appended:
        """Add an entry to today. Raises InvalidArgument, TooLarge, Conflict (a key used for other text)."""
        check_entry(text, tags, key)
        digest = arguments_hash({"text": text.strip(), "tags": list(tags)})
        if key is not None and (known := await self._logged(agent, key, digest)) is not None:
            return known
        moment = self._clock.now()
        passage = Passage(f"{moment:%H:%M}", text.strip(), tuple(tags), key)
        path, known_passage, version = await self._add(agent, moment, passage)
        await self._log(agent, caller, path, digest, key)
        if known_passage is not None:
            return _appended(known_passage, path, version, duplicate=True)
        self._bell.ring(path)
        return _appended(passage, path, version)

    async def _add(self, agent: str, moment: datetime, passage: Passage) -> tuple[str, Passage | None, str]:
        """The file, the entry that has the key already, and the file's version."""
        path = path_of(agent, moment.date())
        key = passage.key
        if key is not None and moment.hour == 0 and (found := await self._before_midnight(agent, moment, passage)):
            return found
        entry = render_entry(moment, passage.text, passage.tags, key)
        known: list[Passage | None] = [None]

        def make(data: bytes) -> bytes:
            _check_text(data, path)
            known[0] = entry_of_key(data, key) if key is not None else None
            if known[0] is not None:
                _check_same(known[0], passage)
                return b""
            return addition(data, moment.date(), entry)

        version = await self._growing.add(path, make)
        return path, known[0], version

    async def _before_midnight(self, agent: str, moment: datetime, passage: Passage) -> tuple[str, Passage, str] | None:
        """An entry of the last day with the same key, whose writer ended before it was in the log."""
        path = path_of(agent, moment.date() - timedelta(days=1))
        try:
            content = await self._documents.read(path)
        except NotFound:
            return None
        known = entry_of_key(content.data, passage.key or "")
        if known is None:
            return None
        _check_same(known, passage)
        return path, known, content.version

    async def _logged(self, agent: str, key: str, digest: str) -> Appended | None:
        """The entry that *key* stands for in the log. Raises Conflict when that was another."""
        entry = await self._chain.find(agent, WRITER, key)
        if entry is None or entry.event.get("kind") != "journal.append":
            return None
        if entry.event.get("sha256") != digest:
            raise _used_key()
        path = str(entry.event.get("path"))
        try:
            content = await self._documents.read(path)
        except NotFound:
            raise Conflict("the entry of this key was taken away by hand", hint="use a new key") from None
        known = entry_of_key(content.data, key)
        if known is None:
            raise Conflict("the entry of this key was taken away by hand", hint="use a new key")
        return _appended(known, path, content.version, duplicate=True)

    async def _log(self, agent: str, caller: Caller, path: str, digest: str, key: str | None) -> None:
        event = {"kind": "journal.append", "path": path, "sha256": digest, "run_id": caller.run}
        try:
            await self._chain.append(agent, WRITER, {k: v for k, v in event.items() if v is not None}, key=key)
        except Conflict:
            if key is None:
                raise  # else somebody else wrote and logged the same entry at the same time

    # Reading

    async def read(
        self, agent: str, since: str | None, until: str | None, limit: int, cursor: str | None
    ) -> JournalPage:
        """Entries of the days *since* to *until*, oldest first; the newest *limit* when neither is given, and with the
        cursor those before them."""
        days = _range(since, until)
        is_newest = since is None and until is None
        found, following = await self._reader.page(agent, days, clamp_limit(limit), cursor, backwards=is_newest)
        return JournalPage(items=found, next_cursor=following)

    async def search(
        self, agent: str, query: str, since: str | None, until: str | None, limit: int, cursor: str | None
    ) -> JournalPage:
        """Entries that hold words of *query*: those with the most of them first, of these the newest."""
        start = decode_offset(cursor)
        return _page(await self._search.find(agent, query, _range(since, until)), clamp_limit(limit), start)

    async def days(self, agent: str, limit: int, cursor: str | None) -> JournalDays:
        """Days that have entries, newest first."""
        start, limit = decode_offset(cursor), clamp_limit(limit)
        sizes: dict[date, int] = {}
        more = False
        async for file in self._reader.files(agent, Range(), newest_first=True):
            if file.day not in sizes and len(sizes) >= start + limit:
                more = True
                break
            sizes[file.day] = sizes.get(file.day, 0) + file.stamp[1]
        items = [JournalDay(day=day.isoformat(), bytes=size, uri=f"journal://{day}") for day, size in sizes.items()]
        return JournalDays(items=items[start:], next_cursor=encode_cursor(start + limit) if more else None)

    async def day(self, agent: str, day: str) -> str:
        """One day as it stands, all files that are about it. Raises NotFound."""
        wanted = _parse_day(day, "day")
        texts = [
            decode_day((await self._documents.read(file.path)).data)
            async for file in self._reader.files(agent, Range(wanted, wanted))
        ]
        if not texts:
            raise NotFound(f"there is no journal of {wanted}", hint="journal_days lists the days")
        return "\n\n".join(texts)

    # What the server base asks

    async def counts(self, agent: str | None) -> dict[str, int]:
        if agent is None:
            return {}
        return {"days": len({file.day async for file in self._reader.files(agent, Range())})}

    async def doctor(self, agent: str) -> list[DoctorFinding]:
        """What of the journal cannot be read as it should be."""
        found: list[DoctorFinding] = []
        async for file in self._reader.files(agent, Range()):
            try:
                data = (await self._documents.read(file.path)).data
            except TooLarge as error:
                found.append(_warning(file.path, None, str(error), "split the file: only its end is read"))
                continue
            found += _text_problems(file.path, data)
            named = day_of(file.path)
            if named is not None and f"{named:%Y-%m}" != file.month:
                found.append(_warning(file.path, None, "lies in another month's folder", f"move it to {named:%Y-%m}/"))
        return found or [DoctorFinding(status="pass", check="journal_text", message="every day reads as text")]

    def uris_of(self, path: str) -> list[str]:
        parts = path.split("/")
        day = day_of(path) if len(parts) > 2 and parts[1] == FOLDER else None
        return [f"journal://{day}"] if day else []


def check_entry(text: str, tags: Sequence[str], key: str | None) -> None:
    """Raises InvalidArgument or TooLarge for what cannot be an entry."""
    if not text.strip():
        raise InvalidArgument("an entry needs text")
    if len(text) > MAX_ENTRY_CHARS:
        raise TooLarge(f"an entry has at most {MAX_ENTRY_CHARS} characters", hint="write a note with memory_write")
    if any(not tag or any(c.isspace() or c in "#<>" for c in tag) for tag in tags) or len(tags) > MAX_TAGS:
        raise InvalidArgument(f"tags are words without spaces or '#', at most {MAX_TAGS}")
    if key is not None and (not key or len(key) > 200 or not key.isprintable() or "-->" in key):
        raise InvalidArgument("a key is one line of 1 to 200 characters")
    try:
        "".join((text, *tags, key or "")).encode()
    except UnicodeEncodeError as exc:
        raise InvalidArgument("the text holds half of a character pair", hint="send valid Unicode") from exc
    if "\0" in text:
        raise InvalidArgument("the text holds a NUL character", hint="leave it out")


def _check_text(data: bytes, path: str) -> None:
    """Raises Corrupted for a file that UTF-8 text must not be added to."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Corrupted(f"{path} is UTF-16", hint="save it as UTF-8; nothing was changed", path=path)


def _check_same(known: Passage, passage: Passage) -> None:
    if known.text != passage.text:
        raise _used_key()


def _used_key() -> Conflict:
    return Conflict("the key was used for another entry", hint="use a new key for a new entry")


def _appended(passage: Passage, path: str, version: str, *, duplicate: bool = False) -> Appended:
    day = day_of(path)
    assert day is not None
    return Appended(**entry_fields(passage, path, day), version=version, duplicate=duplicate)


def _page(entries: Sequence[JournalEntry], limit: int, start: int) -> JournalPage:
    following = encode_cursor(start + limit) if len(entries) > start + limit else None
    return JournalPage(items=list(entries[start : start + limit]), next_cursor=following)


def _range(since: str | None, until: str | None) -> Range:
    start = _parse_day(since, "since") if since else None
    end = _parse_day(until, "until") if until else None
    if start and end and start > end:
        raise InvalidArgument("since is after until", hint="swap them")
    return Range(start, end)


def _parse_day(text: str, name: str) -> date:
    try:
        moment: datetime = parse_time(text)
    except (ValueError, OverflowError) as exc:
        raise InvalidArgument(f"{name} is not a date: {text[:40]!r}", hint="write YYYY-MM-DD") from exc
    return moment.date()


def _text_problems(path: str, data: bytes) -> list[DoctorFinding]:
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data[: exc.start].count(b"\n") + 1
        message = "not UTF-8; unreadable bytes are shown as �"
        return [_warning(path, line, message, "save the file as UTF-8")]
    return []


def _warning(path: str, line: int | None, message: str, fix: str) -> DoctorFinding:
    return DoctorFinding(status="warn", check="journal_text", message=message, file=path, line=line, fix=fix)


def last_days(today: date, count: int) -> tuple[str, str]:
    """The first and last of *count* days that end today, as ISO dates."""
    return (today - timedelta(days=count - 1)).isoformat(), today.isoformat()
