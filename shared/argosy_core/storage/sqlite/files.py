"""Documents as rows, and the days of logs beside them as files that can be read."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from argosy_core.canonical import sha256_hex
from argosy_core.clock import Clock
from argosy_core.content import check_expected
from argosy_core.errors import InvalidArgument, NotFound, PermissionDenied, TooLarge
from argosy_core.names import check_path
from argosy_core.storage.base import ANY, Content, Expect, FileInfo
from argosy_core.storage.document_paths import check_document
from argosy_core.storage.sqlite.database import Database, Transaction, Work
from argosy_core.storage.sqlite.log_rows import bytes_of_day
from argosy_core.vault import MAX_FILE_BYTES

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_END = b""  # comes after every text


class SqliteFiles:
    """`Files` over a database. What a call changes is given as `Work` too, to be done together with others'."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    # Reading

    def read(self, path: str, max_bytes: int = MAX_FILE_BYTES) -> Content:
        """The document, or the day of a log, at *path*. Raises NotFound, TooLarge, InvalidArgument."""
        folder, name = place_of(path)

        def read(t: Transaction) -> Content:
            row = _existing(t, path, folder, name)
            if row["size"] > max_bytes:
                raise TooLarge(f"{path} has {row['size']} bytes; the limit is {max_bytes}", path=path)
            data = _data(t, row)
            return Content(path, data, row["version"] or sha256_hex(data), (row["mtime_ns"], row["size"]))

        return self._database.read(read)

    def read_from(self, path: str, offset: int, max_bytes: int | None = None) -> bytes:
        """The bytes of *path* from *offset*, to its end or at most *max_bytes*; b"" when it is not there or shorter."""
        folder, name = place_of(path)

        def read(t: Transaction) -> bytes:
            row = t.first("file", folder=folder, name=name)
            size = row["size"] - offset if row is not None else 0
            size = size if max_bytes is None else min(size, max_bytes)
            if row is None or size <= 0:
                return b""
            if row["day"] is not None:
                return bytes_of_day(t, row["day"], offset, size)
            with t.connection.blobopen("contents", "data", row["content"], readonly=True) as blob:
                blob.seek(offset)
                return blob.read(size)

        return self._database.read(read)

    def info(self, path: str) -> FileInfo | None:
        """The stamp of *path*; None when there is nothing."""
        folder, name = place_of(path)
        row = self._database.read(lambda t: t.first("file", folder=folder, name=name))
        return FileInfo(path, (row["mtime_ns"], row["size"])) if row is not None else None

    def stamps(self, folder: str, names: Sequence[str]) -> tuple[tuple[int, int] | None, ...]:
        """The stamps of several documents in *folder*, the root (empty) or a folder right in it."""
        for name in (folder, *names) if folder else names:
            if len(check_path(name)) > 1:
                raise InvalidArgument(f"{name} is no single name")
        values = {"folder": folder_of(folder), "names": json.dumps(list(names))}
        rows = self._database.read(lambda t: t.run("stamps", **values).fetchall())
        found = {row["name"]: (row["mtime_ns"], row["size"]) for row in rows}
        return tuple(found.get(name) for name in names)

    def folders(self, path: str = "") -> list[str]:
        """Names of the folders in *path*, sorted; names starting with ``.`` are left out."""
        folder = folder_of(path)
        rows = self._database.read(lambda t: t.run("folders_in", folder=folder, end=end_of(folder)).fetchall())
        return sorted(row["name"] for row in rows)

    def files(self, path: str, suffix: str = "") -> list[FileInfo]:
        """Documents right in *path* whose names end in *suffix*, sorted by name; [] when it is not there."""
        folder = folder_of(path)
        rows = self._database.read(lambda t: t.run("files_in", folder=folder, suffix=suffix).fetchall())
        return [_info(row) for row in rows]

    def walk(self, path: str, suffix: str = "", *, deep: bool = True) -> Iterator[FileInfo]:
        """Like `files`, when *deep* in all folders below *path* too, by path."""
        if not deep:
            yield from self.files(path, suffix)
            return
        folder = folder_of(path)
        values = {"folder": folder, "end": end_of(folder), "suffix": suffix}
        rows = self._database.read(lambda t: t.run("files_below", **values).fetchall())
        yield from sorted(map(_info, rows), key=lambda info: info.path)

    # Writing

    def replace(
        self,
        path: str,
        data: bytes,
        *,
        expect: Expect = ANY,
        keep_version: bool = False,
        max_bytes: int = MAX_FILE_BYTES,
    ) -> Content:
        """Put *data* at *path*, durably and at once, as `Vault.replace` does."""
        work = self.replacing(path, data, expect=expect, keep_version=keep_version, max_bytes=max_bytes)
        return self._database.write(work)

    def replacing(
        self,
        path: str,
        data: bytes,
        *,
        expect: Expect = ANY,
        keep_version: bool = False,
        max_bytes: int = MAX_FILE_BYTES,
    ) -> Work[Content]:
        """The work of `replace`. Raises TooLarge and InvalidArgument; the rest is raised when it is done."""
        if len(data) > max_bytes:
            raise TooLarge(f"{path} would have {len(data)} bytes; the limit is {max_bytes}", path=path)
        folder, name = place_of(path)
        check_document(path)
        version = sha256_hex(data)

        def replace(t: Transaction) -> Content:
            row = t.first("file", folder=folder, name=name)
            check_expected(path, expect, _as_expected(path, row))
            if row is None:
                check_place(t, folder, name)
            stamp = (self._mtime(t, row), len(data))
            if row is not None and keep_version and row["version"] != version:
                self._keep(t, folder, name, row, stamp[0])
                row = None  # the old content is the kept version's from now on
            content = _put_content(t, row, data)
            _put_file(t, folder, name, stamp, version, content)
            t.changed.append(path)
            return Content(path, data, version, stamp)

        return replace

    def content_in(self, t: Transaction, path: str) -> bytes | None:
        """What the document at *path* holds; None when it is not there."""
        folder, name = place_of(path)
        row = t.first("file", folder=folder, name=name)
        return _data(t, row) if row is not None else None

    def remove(self, path: str, *, expect: Expect = ANY) -> None:
        """Take the document at *path* away, durably. Raises NotFound, and Conflict when *expect* is another version."""
        self._database.write(self.removing(path, expect=expect))

    def removing(self, path: str, *, expect: Expect = ANY) -> Work[None]:
        """The work of `remove`."""
        folder, name = place_of(path)
        check_document(path)

        def remove(t: Transaction) -> None:
            row = _existing(t, path, folder, name)
            check_expected(path, expect, _as_expected(path, row))
            t.run("drop_content", id=row["content"])
            t.run("drop_file", folder=folder, name=name)
            t.run("set_removed", mtime_ns=row["mtime_ns"])
            t.changed.append(path)

        return remove

    def _keep(self, t: Transaction, folder: str, name: str, old: sqlite3.Row, mtime_ns: int) -> None:
        """Give the content of *old* to a version beside it, named as `Vault` names them."""
        stem, suffix = os.path.splitext(name)
        place = f"{folder}.versions/{stem}/"
        kept = f"{self._clock.now():%Y%m%dT%H%M%S%fZ}_{old['version'][:8]}{suffix}"
        same = t.first("file", folder=place, name=kept)
        if same is not None:
            t.run("drop_content", id=same["content"])
        _put_file(t, place, kept, (mtime_ns, old["size"]), old["version"], old["content"])

    def _mtime(self, t: Transaction, old: sqlite3.Row | None) -> int:
        """The clock's time, but later than any stamp that was at this place."""
        now = time_ns(self._clock.now())
        last = old if old is not None else t.first("last_removed")
        return max(now, last["mtime_ns"] + 1) if last is not None else now


def time_ns(moment: datetime) -> int:
    """*moment* in nanoseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND * 1000


def place_of(path: str) -> tuple[str, str]:
    """Folder and name of *path* as they are kept. Raises InvalidArgument."""
    *folders, name = check_path(path)
    return "".join(f"{part}/" for part in folders), name


def folder_of(path: str) -> str:
    """The folder *path* as it is kept. Raises InvalidArgument."""
    return f"{'/'.join(check_path(path))}/" if path else ""


def end_of(folder: str) -> str | bytes:
    """The first key after *folder* and all that is below it."""
    return f"{folder[:-1]}0" if folder else _END


def check_place(t: Transaction, folder: str, name: str) -> None:
    """Raises PermissionDenied when a new file could not be there on a disk: beside a folder of its name, in a file."""
    path = f"{folder}{name}"
    if t.first("any_below", folder=f"{path}/", end=f"{path}0") is not None:
        raise PermissionDenied(f"{path} is a folder", path=path)
    if t.first("any_in", folder=folder) is None:
        parts = folder.split("/")[:-1]
        for number, part in enumerate(parts):
            above = "".join(f"{one}/" for one in parts[:number])
            if t.first("file", folder=above, name=part) is not None:
                raise PermissionDenied(f"{above}{part} is a file: nothing can be in it", path=path)


def _existing(t: Transaction, path: str, folder: str, name: str) -> sqlite3.Row:
    row = t.first("file", folder=folder, name=name)
    if row is None:
        raise NotFound(f"there is no {path}", path=path)
    return row


def _data(t: Transaction, row: sqlite3.Row) -> bytes:
    if row["day"] is not None:
        return bytes_of_day(t, row["day"], 0, row["size"])
    found = t.first("content", id=row["content"])
    return bytes(found["data"]) if found is not None else b""


def _as_expected(path: str, row: sqlite3.Row | None) -> Content | None:
    return Content(path, b"", row["version"], (row["mtime_ns"], row["size"])) if row is not None else None


def _put_content(t: Transaction, row: sqlite3.Row | None, data: bytes) -> int | None:
    if row is None:
        return t.run("new_content", data=data).lastrowid
    t.run("change_content", id=row["content"], data=data)
    content: int = row["content"]
    return content


def _put_file(
    t: Transaction, folder: str, name: str, stamp: tuple[int, int], version: str, content: int | None
) -> None:
    values = {"mtime_ns": stamp[0], "size": stamp[1], "version": version, "content": content, "day": None}
    t.run("put_file", folder=folder, name=name, **values)


def _info(row: sqlite3.Row) -> FileInfo:
    return FileInfo(f"{row['folder']}{row['name']}", (row["mtime_ns"], row["size"]))
