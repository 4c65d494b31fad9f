"""Documents as rows: one path, one row. `DocumentTable` works on the database's loop; the two others are its doors."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from anyio import to_thread

from argosy_core.canonical import sha256_hex
from argosy_core.clock import Clock
from argosy_core.content import check_expected
from argosy_core.errors import Conflict, InvalidArgument, NotFound, TooLarge
from argosy_core.ids import Ids
from argosy_core.names import check_path
from argosy_core.storage.base import ABSENT, ANY, Content, Expect, FileInfo
from argosy_core.storage.chain_days import is_day_path
from argosy_core.storage.document_paths import check_document
from argosy_core.storage.kept_versions import versions_of
from argosy_core.storage.postgres.chain_stream import FILE as LINES
from argosy_core.storage.postgres.chain_stream import day_bytes, stream_and_day
from argosy_core.storage.postgres.database import Database, Row, Session, time_ns
from argosy_core.vault import MAX_FILE_BYTES

T = TypeVar("T")
FILE = "documents.sql"
MAX_PATH_BYTES = 2_400  # an index holds no longer ones
_LAST = "\U0010ffff" * 2


class DocumentTable:
    """What `Documents` and `Files` promise, each as a coroutine function of a session."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids

    def read(self, path: str, max_bytes: int = MAX_FILE_BYTES) -> Work[Content]:
        check_path(path)

        async def read(session: Session, _: bool) -> Content:
            if is_day_path(path):
                return await _day(session, path, max_bytes)
            found = _content(path, await session.row("document", path=path))
            if found is None:
                raise NotFound(f"there is no {path}", path=path)
            return found

        return read

    def read_from(self, path: str, offset: int, max_bytes: int | None) -> Work[bytes]:
        check_path(path)
        count = min(max_bytes if max_bytes is not None else 1 << 30, 1 << 30)

        async def read(session: Session, _: bool) -> bytes:
            if is_day_path(path):
                return await day_bytes(session.of(LINES), *stream_and_day(path), offset, max_bytes)
            row = await session.row("piece", path=path, start=offset + 1, count=count)
            return bytes(row["data"]) if row is not None else b""

        return read

    def info(self, path: str) -> Work[FileInfo | None]:
        check_path(path)

        async def look(session: Session, _: bool) -> FileInfo | None:
            row = await session.row("stamp", path=path)
            return FileInfo(path, (row["mtime_ns"], row["size"])) if row is not None else None

        return look

    def write(
        self, path: str, data: bytes, expect: Expect, *, keep_version: bool, max_bytes: int = MAX_FILE_BYTES
    ) -> Work[Content]:
        if len(data) > max_bytes:
            raise TooLarge(f"{path} would have {len(data)} bytes; the limit is {max_bytes}", path=path)
        check_document(path)
        fields = self._fields(path, data)

        async def write(session: Session, again: bool) -> Content:
            if again and (done := await self._written_before(session, path, data, fields["write_id"])) is not None:
                return done
            if keep_version:
                mtime_ns = await self._write_keeping(session, path, data, expect, fields)
            else:
                mtime_ns = await _write_once(session, path, expect, fields)
            return Content(path, data, str(fields["version"]), (mtime_ns, len(data)))

        return write

    def _fields(self, path: str, data: bytes) -> dict[str, object]:
        parts = check_path(path)
        if len(path.encode()) > MAX_PATH_BYTES:
            raise InvalidArgument(f"a path has at most {MAX_PATH_BYTES} bytes here", hint="use shorter names")
        return {
            "path": path,
            "folder": "/".join(parts[:-1]),
            "is_hidden": _is_hidden(parts),
            "version": sha256_hex(data),
            "now_ns": time_ns(self._clock.now()),
            "size": len(data),
            "write_id": self._ids.random(16),
            "data": data,
        }

    async def _written_before(self, session: Session, path: str, data: bytes, write_id: object) -> Content | None:
        row = await session.row("written", path=path)
        if row is None or row["write_id"] != write_id:
            return None
        return Content(path, data, row["version"], (row["mtime_ns"], row["size"]))

    async def _write_keeping(
        self, session: Session, path: str, data: bytes, expect: Expect, fields: dict[str, object]
    ) -> int:
        async with session.transaction():
            old = _content(path, await session.row("locked", path=path))
            check_expected(path, expect, old)
            if old is None:
                return await _write_once(session, path, expect, fields)
            if old.data != data:
                await session.rows("put", **self._fields(self._kept_at(path, old), old.data))
            return await _write_once(session, path, old.version, fields)

    def _kept_at(self, path: str, old: Content) -> str:
        *folder, name = check_path(path)
        stem, suffix = os.path.splitext(name)
        stamp = f"{self._clock.now():%Y%m%dT%H%M%S%fZ}_{old.version[:8]}{suffix}"
        return "/".join((*folder, ".versions", stem, stamp))

    def step(self, path: str, step: Callable[[bytes | None], bytes | None]) -> Work[None]:
        """Put what *step* makes of the data at *path* there, with nobody in between; None of it leaves all as it is."""
        write_id = self._ids.random(16)

        async def change(session: Session, again: bool) -> None:
            async with session.transaction():
                await session.rows("hold", path=path)  # also where there is no row to lock yet
                row = await session.row("document", path=path)
                if again and row is not None and row["write_id"] == write_id:
                    return
                data = step(bytes(row["data"]) if row is not None else None)
                if data is not None:
                    await session.rows("put", **(self._fields(path, data) | {"write_id": write_id}))

        return change

    def data(self, path: str) -> Work[bytes | None]:
        """What is at *path*; None when nothing is."""

        async def read(session: Session, _: bool) -> bytes | None:
            row = await session.row("document", path=path)
            return bytes(row["data"]) if row is not None else None

        return read

    def remove(self, path: str, expect: Expect) -> Work[None]:
        check_path(path)
        check_document(path)

        async def remove(session: Session, again: bool) -> None:
            if isinstance(expect, str):
                gone = await session.row("drop_version", path=path, expected=expect)
            else:
                gone = await session.row("drop", path=path)
            if gone is not None:
                return
            old = _content(path, await session.row("document", path=path))
            if old is not None:
                check_expected(path, expect, old)
            elif not again:
                raise NotFound(f"there is no {path}", path=path)

        return remove

    # Lists

    def files(self, folder: str, suffix: str) -> Work[list[FileInfo]]:
        if folder:
            check_path(folder)

        async def look(session: Session, _: bool) -> list[FileInfo]:
            start = len(folder) + 2 if folder else 1
            return _infos(await session.rows("in_folder", folder=folder, start=start, suffix=suffix))

        return look

    def walk(self, folder: str, suffix: str) -> Work[list[FileInfo]]:
        first, last, start = _range(folder)
        is_hidden = bool(folder) and _is_hidden(check_path(folder))

        async def look(session: Session, _: bool) -> list[FileInfo]:
            if not is_hidden:
                return _infos(await session.rows("below", first=first, last=last, suffix=suffix))
            return _infos(await session.rows("below_hidden", first=first, last=last, start=start, suffix=suffix))

        return look

    def folders(self, folder: str) -> Work[list[str]]:
        first, last, start = _range(folder)

        async def look(session: Session, _: bool) -> list[str]:
            return sorted(r["name"] for r in await session.rows("folders", first=first, last=last, start=start))

        return look

    def stamps(self, folder: str, names: Sequence[str]) -> Work[tuple[tuple[int, int] | None, ...]]:
        for name in (folder, *names) if folder else names:
            if len(check_path(name)) > 1:
                raise InvalidArgument(f"{name} is no single name")
        paths = [f"{folder}/{name}" if folder else name for name in names]

        async def look(session: Session, _: bool) -> tuple[tuple[int, int] | None, ...]:
            found = {info.path: info.stamp for info in _infos(await session.rows("stamps", paths=paths))}
            return tuple(found.get(path) for path in paths)

        return look


Work = Callable[[Session, bool], Awaitable[T]]


async def _day(session: Session, path: str, max_bytes: int) -> Content:
    """The day of a log as a document. Raises NotFound, TooLarge."""
    row = await session.row("stamp", path=path)
    if row is None:
        raise NotFound(f"there is no {path}", path=path)
    if row["size"] > max_bytes:
        raise TooLarge(f"{path} has {row['size']} bytes; the limit is {max_bytes}", path=path)
    data = await day_bytes(session.of(LINES), *stream_and_day(path), 0, row["size"])
    return Content(path, data, sha256_hex(data), (row["mtime_ns"], row["size"]))


async def _write_once(session: Session, path: str, expect: Expect, fields: dict[str, object]) -> int:
    """The new stamp's time. Raises Conflict, AlreadyExists."""
    if not isinstance(expect, str):
        row = await session.row("put", **fields)
    elif expect == ABSENT:
        row = await session.row("add", **fields)
    else:
        row = await session.row("swap", **fields, expected=expect)
    if row is not None:
        return int(row["mtime_ns"])
    check_expected(path, expect, _content(path, await session.row("document", path=path)))
    raise Conflict(f"{path} changes too often", hint="read it again and repeat the change", path=path)


def _content(path: str, row: Row | None) -> Content | None:
    if row is None:
        return None
    return Content(path, bytes(row["data"]), row["version"], (row["mtime_ns"], row["size"]))


def _infos(rows: Sequence[Row]) -> list[FileInfo]:
    return [FileInfo(row["path"], (row["mtime_ns"], row["size"])) for row in rows]


def _is_hidden(parts: Sequence[str]) -> bool:
    return any(part.startswith(".") for part in parts)


def _range(folder: str) -> tuple[str, str, int]:
    """First and last path below *folder*, and where in such a path the rest begins, from 1."""
    if not folder:
        return "", _LAST, 1
    check_path(folder)
    return f"{folder}/", f"{folder}0", len(folder) + 2


class PostgresDocuments:
    """`Documents` over a database."""

    def __init__(self, database: Database, table: DocumentTable, files: PostgresFiles) -> None:
        self._database = database
        self._table = table
        self._files = files

    async def read(self, path: str) -> Content:
        return await self._database.call(FILE, self._table.read(path))

    async def read_from(self, path: str, offset: int, max_bytes: int | None = None) -> bytes:
        return await self._database.call(FILE, self._table.read_from(path, offset, max_bytes))

    async def info(self, path: str) -> FileInfo | None:
        return await self._database.call(FILE, self._table.info(path))

    async def write(self, path: str, data: bytes, *, expect: Expect = ANY, keep_version: bool = False) -> Content:
        return await self._database.call(FILE, self._table.write(path, data, expect, keep_version=keep_version))

    async def remove(self, path: str, *, expect: Expect = ANY) -> None:
        await self._database.call(FILE, self._table.remove(path, expect))

    async def list(self, prefix: str, suffix: str = "", *, deep: bool = False) -> Sequence[FileInfo]:
        look = self._table.walk if deep else self._table.files
        return await self._database.call(FILE, look(prefix, suffix))

    async def folders(self, prefix: str = "") -> Sequence[str]:
        return await self._database.call(FILE, self._table.folders(prefix))

    async def versions(self, path: str) -> Sequence[FileInfo]:
        return await to_thread.run_sync(versions_of, self._files, path)


class PostgresFiles:
    """`Files` over a database: every call blocks."""

    def __init__(self, database: Database, table: DocumentTable) -> None:
        self._database = database
        self._table = table

    def read(self, path: str) -> Content:
        return self._database.wait(FILE, self._table.read(path))

    def read_from(self, path: str, offset: int, max_bytes: int | None = None) -> bytes:
        return self._database.wait(FILE, self._table.read_from(path, offset, max_bytes))

    def info(self, path: str) -> FileInfo | None:
        return self._database.wait(FILE, self._table.info(path))

    def replace(self, path: str, data: bytes, *, expect: Expect = ANY, keep_version: bool = False) -> Content:
        return self._database.wait(FILE, self._table.write(path, data, expect, keep_version=keep_version))

    def remove(self, path: str, *, expect: Expect = ANY) -> None:
        self._database.wait(FILE, self._table.remove(path, expect))

    def stamps(self, folder: str, names: Sequence[str]) -> tuple[tuple[int, int] | None, ...]:
        return self._database.wait(FILE, self._table.stamps(folder, names))

    def folders(self, path: str = "") -> Sequence[str]:
        return self._database.wait(FILE, self._table.folders(path))

    def files(self, path: str, suffix: str = "") -> Sequence[FileInfo]:
        return self._database.wait(FILE, self._table.files(path, suffix))

    def walk(self, path: str, suffix: str = "", *, deep: bool = True) -> Iterator[FileInfo]:
        table = self._table
        yield from self._database.wait(FILE, table.walk(path, suffix) if deep else table.files(path, suffix))
