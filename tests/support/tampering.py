"""Ways behind a store's back: an editor on the day files, another program with the database open, an SQL prompt."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from postgres_server import run_sql

from argosy_core.storage.postgres.address import parse_address
from argosy_core.storage.sqlite.database import Transaction
from argosy_core.storage.sqlite.log_rows import StreamRows

FIRST_DAY = "log/2026-11/2026-11-01.jsonl"  # of a stream that has none
Days = Mapping[str, bytes]
"""The day files of a stream by their paths, in order."""


class StoredDays(ABC):
    """The stored days of streams; a `Tamperer` too."""

    @abstractmethod
    async def days(self, stream: str) -> dict[str, bytes]:
        """What is stored of *stream*."""

    @abstractmethod
    async def put_days(self, stream: str, days: Days) -> None:
        """Make *days* all that is stored of *stream*; days that are the same are left alone."""

    async def lines(self, stream: str) -> list[bytes]:
        return [line for data in (await self.days(stream)).values() for line in data.splitlines()]

    async def put(self, stream: str, lines: Sequence[bytes]) -> None:
        path = max(await self.days(stream), default=f"{stream}/{FIRST_DAY}")
        await self.put_days(stream, {path: b"".join(line + b"\n" for line in lines)})


def changes(before: Days, after: Days) -> tuple[list[str], dict[str, bytes]]:
    """The days that go, and those that come or are others."""
    return [path for path in before if path not in after], {p: d for p, d in after.items() if before.get(p) != d}


class FileDays(StoredDays):
    """An editor on the files of the vault at *root*."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def days(self, stream: str) -> dict[str, bytes]:
        files = sorted((self._root / stream / "log").glob("*/*.jsonl"))
        return {str(file.relative_to(self._root)): file.read_bytes() for file in files}

    async def put_days(self, stream: str, days: Days) -> None:
        gone, new = changes(await self.days(stream), days)
        for path in gone:
            (self._root / path).unlink()
        for path, data in new.items():
            (self._root / path).parent.mkdir(parents=True, exist_ok=True)
            (self._root / path).write_bytes(data)


class SqliteDays(StoredDays):
    """Somebody with the *database* open in another program."""

    def __init__(self, database: Path) -> None:
        self._database = database

    async def days(self, stream: str) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        with closing(sqlite3.connect(self._database)) as db:
            of_stream = (
                "SELECT path, line FROM days LEFT JOIN lines ON days.id = day WHERE days.stream = ? "
                "ORDER BY path, start"
            )
            for path, line in db.execute(of_stream, (stream,)):
                found[path] = found.get(path, b"") + (line or b"")
        return found

    async def put_days(self, stream: str, days: Days) -> None:
        gone, new = changes(await self.days(stream), days)
        with closing(sqlite3.connect(self._database, isolation_level=None)) as db:
            db.row_factory = sqlite3.Row
            db.execute("BEGIN IMMEDIATE")
            for path in (*gone, *new):
                day = "(SELECT id FROM days WHERE path = ?)"
                db.execute(f"DELETE FROM lines WHERE day = {day}", (path,))
                db.execute(f"DELETE FROM files WHERE day = {day}", (path,))
                db.execute("DELETE FROM days WHERE path = ?", (path,))
            for path, data in new.items():
                StreamRows(Transaction(db), stream).put_day(path, data, 1)
            db.execute("COMMIT")


class PostgresDays(StoredDays):
    """Somebody with an SQL prompt at *url*."""

    def __init__(self, url: str) -> None:
        self._address = parse_address(url)

    async def days(self, stream: str) -> dict[str, bytes]:
        of_stream = "SELECT day, line, is_open FROM lines WHERE stream = $1 ORDER BY day, start"
        found: dict[str, bytes] = {}
        for row in await run_sql(self._address, of_stream, stream):
            path = f"{stream}/log/{row['day'][:7]}/{row['day']}.jsonl"
            found[path] = found.get(path, b"") + row["line"] + (b"" if row["is_open"] else b"\n")
        return found

    async def put_days(self, stream: str, days: Days) -> None:
        gone, new = changes(await self.days(stream), days)
        for path in (*gone, *new):
            await run_sql(self._address, "DELETE FROM lines WHERE stream = $1 AND day = $2", stream, path[-16:-6])
        put = """
        WITH begun AS (SELECT l.*, sum(octet_length(l.line) + 1) OVER (ORDER BY l.place) AS stop
            FROM unnest($3::bytea[]) WITH ORDINALITY AS l (line, place))
        INSERT INTO lines (stream, day, start, line) SELECT $1, $2, stop - octet_length(line) - 1, line FROM begun
        """
        for path, data in new.items():
            await run_sql(self._address, put, stream, path[-16:-6], data.splitlines())
