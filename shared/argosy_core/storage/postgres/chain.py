"""Chains as rows, a row a line. Appends that arrive together share a statement and its commit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from anyio import to_thread

from argosy_core.canonical import sha256_hex
from argosy_core.clock import Clock
from argosy_core.ids import Ids
from argosy_core.storage.base import PIECE_BYTES, Entry, Head, Piece, VerifyReport
from argosy_core.storage.chain_anchors import anchors_path
from argosy_core.storage.chain_appends import Append, asked
from argosy_core.storage.chain_lines import parse_line
from argosy_core.storage.chain_redaction import no_entry, redact_line
from argosy_core.storage.chain_verify import verify_streams
from argosy_core.storage.postgres.batches import Batches
from argosy_core.storage.postgres.chain_stream import (
    FILE,
    StreamTable,
    check_stream,
    day_bytes,
    day_path,
    entries_of,
    heads_of,
    key_hash,
    learn_lines,
    writer_bytes,
)
from argosy_core.storage.postgres.database import Database, Row, Session, time_ns

MOST_TOGETHER = 256  # appends in one statement
FIRST_ROWS, MOST_ROWS = 64, 8192
LAST_DAY = "~"
DIGEST_CHARS = 16


class PostgresChain:
    """`Chain` over a database."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._streams: dict[str, Batches[Append]] = {}  # touched on the database's loop only

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
        await self._database.background.call(lambda: self._submit(stream, append))
        return append.result()

    async def _submit(self, stream: str, append: Append) -> None:
        batches = self._streams.get(stream)
        if batches is None:
            await self._database.run(FILE, lambda session, _: check_stream(session, stream))
            table = StreamTable(stream, self._database, self._clock, self._ids)
            batches = self._streams.setdefault(stream, Batches(table.append, MOST_TOGETHER))
        await batches.submit(append)

    # Reading

    async def find(self, stream: str, writer: str, key: str) -> Entry | None:
        async def find(session: Session, _: bool) -> Entry | None:
            await _check_learned(session, stream)
            return (await entries_of(session, stream, [key_hash(writer, key)])).get(key_hash(writer, key))

        return await self._database.call(FILE, find)

    async def heads(self, stream: str | None = None) -> Sequence[Head]:
        async def look(session: Session, _: bool) -> Sequence[Head]:
            names = await _streams(session) if stream is None else [stream]
            found: list[Head] = []
            for name in names:
                await _check_learned(session, name)
                found += [Head(name, writer, *head) for writer, head in sorted((await heads_of(session, name)).items())]
            return found

        return await self._database.call(FILE, look)

    async def streams(self) -> Sequence[str]:
        return await self._database.call(FILE, lambda session, _: _streams(session))

    async def scan(
        self, stream: str, *, since: date | None = None, until: date | None = None, newest_first: bool = False
    ) -> AsyncIterator[Mapping[str, Any]]:
        await self._database.call(FILE, lambda session, _: check_stream(session, stream))
        first, last = since.isoformat() if since else "", until.isoformat() if until else LAST_DAY
        name, bound = ("lines_before", {"since": first}) if newest_first else ("lines_after", {"until": last})
        day, start = (f"{last}~", 0) if newest_first else (first, -1)
        count = FIRST_ROWS
        while rows := await self._rows(name, stream=stream, day=day, start=start, count=count, **bound):
            for fields in await to_thread.run_sync(_parsed, rows):
                yield fields
            day, start = rows[-1]["day"], rows[-1]["start"]
            count = _rows_for(rows, PIECE_BYTES)

    async def _rows(self, name: str, **values: Any) -> list[Row]:
        return await self._database.call(FILE, lambda session, _: session.rows(name, **values))

    async def read_on(self, stream: str, position: str = "", max_bytes: int = PIECE_BYTES) -> Piece:
        return await self._database.call(FILE, lambda session, _: _read_on(session, stream, position, max_bytes))

    async def verify(self, stream: str | None = None) -> VerifyReport:
        if stream is not None:
            await self._database.call(FILE, lambda session, _: check_stream(session, stream))
        return await to_thread.run_sync(verify_streams, self, stream)

    # For worker threads

    def stored_streams(self) -> Sequence[str]:
        return self._database.wait(FILE, lambda session, _: _streams(session))

    def stored_anchors(self, stream: str) -> str | None:
        row = self._database.wait(FILE, lambda session, _: session.row("anchors", path=anchors_path(stream)))
        return None if row is None else bytes(row["data"]).decode("utf-8", "replace")

    def stored_days(self, stream: str) -> Iterator[tuple[str, bytes]]:
        """The stream as day files, each when it is asked for."""
        for row in self._database.wait(FILE, lambda session, _: session.rows("days", stream=stream)):
            yield day_path(stream, row["day"]), self._day_bytes(stream, row["day"])

    def _day_bytes(self, stream: str, day: str) -> bytes:
        return self._database.wait(FILE, lambda session, _: day_bytes(session, stream, day))

    # Redaction

    async def redact(self, stream: str, writer: str, seq: int) -> Entry:
        now_ns = time_ns(self._clock.now())
        return await self._database.call(FILE, lambda session, _: _redact(session, stream, writer, seq, now_ns))


async def _redact(session: Session, stream: str, writer: str, seq: int, now_ns: int) -> Entry:
    """Done twice it changes nothing, so an answer that was lost does no harm."""
    await _check_learned(session, stream)
    async with session.transaction():
        await session.row("turn", stream=stream)
        number = seq if 0 < seq < 1 << 62 else 0
        row = await session.row("line_of_entry", stream=stream, writer=writer_bytes(writer), seq=number)
        fields = parse_line(bytes(row["line"])) if row is not None else None
        if row is None or fields is None:
            raise no_entry(stream, writer, seq)
        entry, line = redact_line(fields)
        if line is not None:
            place = {"stream": stream, "day": row["day"]}
            new = line.rstrip(b"\n")
            gained = len(new) - len(row["line"])
            await session.rows("redact_line", **place, start=row["start"], line=new)
            # By way of negative numbers: on the way a line must not stand where another one still does.
            await session.rows("lift_lines", **place, start=row["start"], gained=gained)
            await session.rows("set_lines_down", **place)
            await session.rows("resize_day", path=day_path(stream, row["day"]), gained=gained, now_ns=now_ns)
            await session.rows("turn_over", stream=stream, step=1)
    return entry


async def _streams(session: Session) -> list[str]:
    return [row["stream"] for row in await session.rows("streams")]


async def _check_learned(session: Session, stream: str) -> None:
    await check_stream(session, stream)
    if await session.row("is_new", stream=stream) is not None:
        async with session.transaction():
            await session.row("turn", stream=stream)
            await learn_lines(session, stream)


async def _read_on(session: Session, stream: str, position: str, max_bytes: int) -> Piece:
    """A position is ``<epoch>:<day>:<start>:<digest of that line>``."""
    await check_stream(session, stream)
    row = await session.row("epoch", stream=stream)
    epoch = row["epoch"] if row is not None else 0
    found = await _resume(session, stream, position, epoch)
    day, start = found or ("", -1)
    lines: list[tuple[str, bytes]] = []
    taken, count, last = 0, FIRST_ROWS, b""
    while taken < max_bytes:
        rows = await session.rows("lines_after", stream=stream, day=day, start=start, until=LAST_DAY, count=count)
        is_end = len(rows) < count
        if rows and rows[-1]["is_open"] and (is_end or len(rows) > 1):
            rows.pop()  # perhaps it is still being written; if others follow it comes with them
        for row in rows:
            last = bytes(row["line"])
            lines.append((day_path(stream, row["day"]), last.rstrip(b"\r")))
            taken += len(last) + 1
            day, start = row["day"], row["start"]
            if taken >= max_bytes:
                break
        if is_end or not rows:
            break
        count = _rows_for(rows, max_bytes - taken)
    is_anew = bool(position) and found is None
    if not lines:
        return Piece((), position if not is_anew else "", is_anew=is_anew)
    return Piece(lines, f"{epoch}:{day}:{start}:{_digest(stream, last)}", is_anew=is_anew)


async def _resume(session: Session, stream: str, position: str, epoch: int) -> tuple[str, int] | None:
    parts = position.split(":")
    if len(parts) != 4 or parts[0] != str(epoch) or not parts[2].isdecimal() or len(parts[2]) > 18:
        return None
    _, day, at, digest = parts
    if "\0" in day or not day.isprintable():
        return None
    row = await session.row("line_at", stream=stream, day=day, start=int(at))
    return (day, int(at)) if row is not None and _digest(stream, bytes(row["line"])) == digest else None


def _digest(stream: str, line: bytes) -> str:
    return sha256_hex(f"{stream}\0".encode() + line)[:DIGEST_CHARS]


def _rows_for(rows: Sequence[Row], want_bytes: int) -> int:
    """How many rows of the size of these come to about *want_bytes*; growing not too fast, since sizes differ."""
    size = sum(len(row["line"]) for row in rows) // max(len(rows), 1) + 1
    return max(2, min(want_bytes // size, len(rows) * 8, MOST_ROWS))


def _parsed(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [fields for row in rows if (fields := parse_line(bytes(row["line"]))) is not None]
