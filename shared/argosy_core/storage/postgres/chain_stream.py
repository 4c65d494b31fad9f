"""One stream from the appender's side: what is known of it, and writing on it.

Who knows the newest turn of a stream knows its heads, and appends with one statement that takes the turn and puts the
lines. Who does not takes the turn's row first, reads what others wrote, and appends under that lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from argosy_core.canonical import sha256_hex
from argosy_core.clock import Clock
from argosy_core.errors import AlreadyExists, ArgosyError, NotFound
from argosy_core.ids import Ids
from argosy_core.names import is_sound
from argosy_core.storage.base import PIECE_BYTES, Entry
from argosy_core.storage.chain_appends import Append, AppendBatch, entry_of_line
from argosy_core.storage.chain_days import log_folder
from argosy_core.storage.chain_lines import MAX_WRITER_CHARS, can_be_followed, parse_line
from argosy_core.storage.postgres.database import Database, Session, time_ns

FILE = "chain.sql"
FLEET = "_fleet"
LEARNED_AT_ONCE = 2000
PUT_AT_ONCE = 1000
MAX_OFFSET = 1 << 62
_KEY_HASH_BYTES = 16


@dataclass(slots=True)
class Known:
    """What is stored of a stream, as of *revision*: *size* bytes in its last day."""

    revision: int
    day: str
    size: int
    heads: dict[str, tuple[int, str]]
    entries: Mapping[bytes, Entry] = field(default_factory=dict[bytes, Entry])

    def head(self, writer: str) -> tuple[int, str]:
        return self.heads.get(writer, (0, ""))

    def entry_of_key(self, writer: str, key: str) -> Entry | None:
        return self.entries.get(key_hash(writer, key))


@dataclass(slots=True)
class _Try:
    """What was sent last: the batch, and where its first line went."""

    batch: AppendBatch
    day: str
    start: int


class StreamTable:
    """Appends to one stream; one batch at a time."""

    def __init__(self, stream: str, database: Database, clock: Clock, ids: Ids) -> None:
        self._stream = stream
        self._database = database
        self._clock = clock
        self._ids = ids
        self._known: Known | None = None

    async def append(self, appends: Sequence[Append]) -> None:
        """Write *appends* together and finish or fail each. Raises ArgosyError when none can be written."""
        tries: list[_Try] = []
        try:
            await self._database.run(FILE, lambda session, again: self._append(session, appends, tries, again=again))
        except BaseException as error:
            self._known = None
            failure = error if isinstance(error, ArgosyError) else None
            for append in appends:
                append.is_done = False
                if failure is not None:
                    append.fail(failure)
            if failure is None:
                raise

    async def _append(self, session: Session, appends: Sequence[Append], tries: list[_Try], *, again: bool) -> None:
        if again and tries and await self._is_there(session, tries[-1]):
            self._known = None
            tries[-1].batch.finish()
            return
        if self._known is not None and await self._append_at_once(session, appends, self._known, tries):
            return
        self._known = None
        async with session.transaction():
            known = await self._take_turn(session, [key_hash(a.writer, a.key) for a in appends if a.key is not None])
            batch = AppendBatch(self._stream, self._clock.now(), self._ids, known)
            for append in appends:
                try:
                    batch.add(append)
                except ArgosyError as error:
                    append.fail(error)
            if batch.made:
                day = _day_of(batch, known)
                await session.rows("close", stream=self._stream, day=day, path=day_path(self._stream, day))
                await self._put(session, batch, known, tries)
        self._learn_made(batch, known)

    async def _append_at_once(
        self, session: Session, appends: Sequence[Append], known: Known, tries: list[_Try]
    ) -> bool:
        """Whether all could be written by what is known; nothing is decided against anybody by what may be old."""
        batch = AppendBatch(self._stream, self._clock.now(), self._ids, known)
        try:
            for append in appends:
                batch.add(append)
        except ArgosyError:
            return False
        try:
            if not batch.made or not await self._put(session, batch, known, tries):
                return False
        except Exception as failure:
            if getattr(failure, "sqlstate", None) == "23505":  # somebody put lines in behind everybody's back
                return False
            raise
        self._learn_made(batch, known)
        return True

    async def _put(self, session: Session, batch: AppendBatch, known: Known, tries: list[_Try]) -> bool:
        day = _day_of(batch, known)
        path = day_path(self._stream, day)
        lines = [line for _, line in batch.made]
        starts = list(accumulate(map(len, lines), initial=known.size if day == known.day else 0))
        entries = [entry for entry, _ in batch.made]
        keys = [key_hash(e.writer, e.event["key"]) if "key" in e.event else None for e in entries]
        tries.append(_Try(batch, day, starts[0]))
        rows = await session.rows(
            "append",
            stream=self._stream,
            revision=known.revision,
            known_keys=[key for key in keys if key is not None],
            day=day,
            path=path,
            folder=path.rpartition("/")[0],
            now_ns=time_ns(batch.moment),
            size=sum(map(len, lines)),
            starts=starts[:-1],
            lines=[line[:-1] for line in lines],
            writers=[writer_bytes(entry.writer) for entry in entries],
            seqs=[entry.seq for entry in entries],
            hashes=[entry.hash for entry in entries],
            keys=keys,
        )
        return bool(rows)

    def _learn_made(self, batch: AppendBatch, known: Known) -> None:
        day = _day_of(batch, known)
        size = (known.size if day == known.day else 0) + sum(len(line) for _, line in batch.made)
        if batch.made:
            self._known = Known(known.revision + 1, day, size, known.heads | batch.heads)
        batch.finish()

    async def _is_there(self, session: Session, last: _Try) -> bool:
        entry, _ = last.batch.made[0]
        place = {"stream": self._stream, "day": last.day, "start": last.start}
        return await session.row("is_there", **place, hash=entry.hash) is not None

    # Knowing

    async def _take_turn(self, session: Session, keys: Sequence[bytes]) -> Known:
        """What is stored, while nobody else appends until the transaction ends."""
        turn = await session.row("turn", stream=self._stream)
        await learn_lines(session, self._stream)
        last = await session.row("last", stream=self._stream)
        entries = await entries_of(session, self._stream, keys) if keys else {}
        day, size = (last["day"], last["stop"]) if last is not None else ("", 0)
        assert turn is not None
        return Known(turn["revision"], day, size, await heads_of(session, self._stream), entries)


async def check_stream(session: Session, stream: str) -> None:
    """Raises NotFound for what is no stream."""
    if stream == FLEET:
        return
    is_name = is_sound(stream) and not stream.startswith(".")
    place = {"first": f"{stream}/", "last": f"{stream}0", "stream": stream}
    if not is_name or await session.row("agent", **place) is None:
        raise NotFound(f"there is no agent {stream[:80]!a} to log for", hint="agent_list shows the agents")


async def learn_lines(session: Session, stream: str) -> None:
    """Take in lines that were not appended: put in from an archive, or by another program. Needs a transaction."""
    while new := await session.rows("new_lines", stream=stream, count=LEARNED_AT_ONCE):
        found = [_learned(stream, bytes(row["line"])) for row in new]
        taken = set(await entries_of(session, stream, [each[3] for each in found if each[3] is not None]))
        keys: list[bytes | None] = []
        for each in found:
            keys.append(each[3] if each[3] not in taken else None)  # the first entry of a key is the one
            if each[3] is not None:
                taken.add(each[3])
        await session.rows(
            "learn",
            stream=stream,
            days=[row["day"] for row in new],
            starts=[row["start"] for row in new],
            writers=[each[0] for each in found],
            seqs=[each[1] for each in found],
            hashes=[each[2] for each in found],
            keys=keys,
        )


def _learned(stream: str, line: bytes) -> tuple[bytes | None, int | None, str | None, bytes | None]:
    fields = parse_line(line)
    if fields is None or not can_be_followed(fields, stream) or len(fields["writer"]) > MAX_WRITER_CHARS:
        return None, None, None, None
    key = fields.get("key")
    hashed = key_hash(fields["writer"], key) if isinstance(key, str) else None
    return writer_bytes(fields["writer"]), fields["seq"], fields["hash"], hashed


async def heads_of(session: Session, stream: str) -> dict[str, tuple[int, str]]:
    """Number and hash of the last entry of each writer."""
    rows = await session.rows("heads", stream=stream)
    return {bytes(row["writer"]).decode("utf-8", "surrogatepass"): (row["seq"], row["hash"]) for row in rows}


async def entries_of(session: Session, stream: str, keys: Sequence[bytes]) -> dict[bytes, Entry]:
    """The entries that were appended under *keys*, by key."""
    found: dict[bytes, Entry] = {}
    for row in await session.rows("of_keys", stream=stream, keys=keys) if keys else ():
        entry = entry_of_line(bytes(row["line"]).decode())
        if entry is not None:
            found[bytes(row["key_hash"])] = entry
    return found


async def day_bytes(session: Session, stream: str, day: str, offset: int = 0, count: int | None = None) -> bytes:
    """The file of *day* from *offset*, or *count* bytes of it; b"" when the stream has no such day."""
    pieces: list[bytes] = []
    start, stop = offset, offset + count if count is not None else MAX_OFFSET
    while start < stop:
        rows = await session.rows(
            "bytes_of_day", stream=stream, day=day, start=start, stop=min(stop, start + PIECE_BYTES)
        )
        data = b"".join(bytes(row["line"]) + (b"" if row["is_open"] else b"\n") for row in rows)
        data = data[start - rows[0]["start"] :] if rows else b""
        if not data:
            break
        pieces.append(data[: stop - start])
        start += len(data)
    return b"".join(pieces)


def day_path(stream: str, day: str) -> str:
    """The file of *day*, which may be no day of a calendar: such files are put in too."""
    return f"{log_folder(stream)}/{day[:7]}/{day}.jsonl"


def stream_and_day(path: str) -> tuple[str, str]:
    """What `day_path` made *path* of."""
    return path.partition("/")[0], path.rpartition("/")[2].removesuffix(".jsonl")


async def put_day(session: Session, path: str, data: bytes, now_ns: int) -> None:
    """Put the day file *path* in, which is not there, whatever lines it has. Raises AlreadyExists."""
    stream, day = stream_and_day(path)
    async with session.transaction():
        await session.row("turn", stream=stream)
        place = {"path": path, "folder": path.rpartition("/")[0], "now_ns": now_ns, "size": len(data)}
        if await session.row("new_day", **place) is None:
            raise AlreadyExists(f"{path} exists", hint="logs are only appended to", path=path)
        last = await session.row("last", stream=stream)
        await session.rows("turn_over", stream=stream, step=int(last is not None and day < last["day"]))
        lines = data.split(b"\n")
        starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
        count = len(lines) if lines[-1] else len(lines) - 1
        for first in range(0, count, PUT_AT_ONCE):
            piece = slice(first, min(first + PUT_AT_ONCE, count))
            open_lines = [number == len(lines) - 1 for number in range(count)[piece]]
            values = {"starts": starts[piece], "lines": lines[piece], "open": open_lines}
            await session.rows("put_lines", stream=stream, day=day, **values)


def key_hash(writer: str, key: str) -> bytes:
    """What a key is found by: keys are longer than what an index holds."""
    named: bytes = f"{writer}\0{key}".encode("utf-8", "surrogatepass")
    return bytes.fromhex(sha256_hex(named))[:_KEY_HASH_BYTES]


def writer_bytes(writer: str) -> bytes:
    return writer.encode("utf-8", "surrogatepass")


def _day_of(batch: AppendBatch, known: Known) -> str:
    return max(batch.moment.date().isoformat(), known.day)
