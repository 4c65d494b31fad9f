"""The lines of logs as rows: a row keeps the bytes of its line, so that the day's file can be had again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from argosy_core.errors import AlreadyExists
from argosy_core.names import is_encodable
from argosy_core.storage.base import Entry
from argosy_core.storage.chain_appends import entry_of_line
from argosy_core.storage.chain_lines import can_be_followed, parse_line
from argosy_core.storage.chain_redaction import no_entry, redact_line
from argosy_core.storage.sqlite.database import Transaction


def bytes_of_day(t: Transaction, day: int, offset: int, size: int) -> bytes:
    """At most *size* bytes of a day's file from *offset*."""
    rows = t.run("lines_from", day=day, offset=offset, end=offset + size).fetchall()
    if not rows:
        return b""
    data = b"".join(row["line"] for row in rows)
    begin = offset - rows[0]["start"]
    return data[begin : begin + size]


class StreamRows:
    """What is stored of *stream*."""

    def __init__(self, t: Transaction, stream: str) -> None:
        self._t = t
        self._stream = stream

    def head(self, writer: str) -> tuple[int, str]:
        """Number and hash of the writer's last entry; (0, "") when it has none."""
        row = self._t.first("head", stream=self._stream, writer=writer)
        return (row["seq"], row["hash"]) if row is not None else (0, "")

    def heads(self) -> dict[str, tuple[int, str]]:
        """Number and hash of each writer's last entry."""
        writers = self._t.run("writers", stream=self._stream).fetchall()
        return {row["writer"]: self.head(row["writer"]) for row in writers}

    def entry_of_key(self, writer: str, key: str) -> Entry | None:
        """The entry that *writer* appended under *key*."""
        row = self._t.first("line_of_key", stream=self._stream, writer=writer, key=key)
        return entry_of_line(row["line"].decode()) if row is not None else None

    def last_day(self) -> str:
        """The path of the newest day; "" when there is none."""
        row = self._t.first("last_day", stream=self._stream)
        return row["path"] if row is not None else ""

    def add(self, path: str, entries: Sequence[tuple[Entry, bytes]], now_ns: int) -> None:
        """Put new *entries* with their lines at the end of the day *path*."""
        day, start, mtime_ns = self._day_to_append(path)
        rows: list[dict[str, Any]] = []
        for entry, line in entries:
            key = entry.event.get("key")
            columns = {"writer": entry.writer, "seq": entry.seq, "hash": entry.hash, "key": key}
            rows.append(self._row(day, start, line, columns))
            start += len(line)
        self._t.run_all("new_line", rows)
        self._put_file(path, day, start, max(now_ns, mtime_ns + 1))

    def redact(self, writer: str, seq: int, now_ns: int) -> Entry:
        """As `Chain.redact`: the lines after it in its day move up."""
        row = self._t.first("line_of_entry", stream=self._stream, writer=writer, seq=seq)
        fields = parse_line(row["line"]) if row is not None else None
        if row is None or fields is None:
            raise no_entry(self._stream, writer, seq)
        entry, line = redact_line(fields)
        if line is not None:
            self._t.run("overwrite_removed")
            self._t.run("redact_line", id=row["id"], line=line)
            gained = len(line) - len(row["line"])
            # By way of negative numbers: on the way a line must not stand where another one still does.
            self._t.run("lift_lines", day=row["day"], start=row["start"], gained=gained)
            self._t.run("set_lines_down", day=row["day"])
            path = row["path"]
            file = self._t.first("file", **_place(path))
            size, mtime_ns = (file["size"], file["mtime_ns"]) if file is not None else (0, 0)
            self._put_file(path, row["day"], size + gained, max(now_ns, mtime_ns + 1))
        return entry

    def put_day(self, path: str, data: bytes, now_ns: int) -> None:
        """Make *data* the day *path*, byte for byte. Raises AlreadyExists."""
        if self._t.first("file", **_place(path)) is not None:
            raise AlreadyExists(f"{path} exists", hint="put a log only into a vault that does not have it", path=path)
        day, start = self._new_day(path, is_open=bool(data) and not data.endswith(b"\n")), 0
        rows: list[dict[str, Any]] = []
        for piece in data.split(b"\n"):
            line = piece if start + len(piece) == len(data) else piece + b"\n"
            if line:
                rows.append(self._row(day, start, line, _columns_of(self._stream, line)))
                start += len(line)
        self._t.run_all("new_line", rows)
        self._put_file(path, day, start, now_ns)

    def _row(self, day: int, start: int, line: bytes, columns: Mapping[str, Any]) -> dict[str, Any]:
        return {"day": day, "start": start, "stream": self._stream, "line": line, **columns}

    def _day_to_append(self, path: str) -> tuple[int, int, int]:
        """Id, size and modification time of the day *path*, which ends in a newline."""
        found = self._t.first("day", stream=self._stream, path=path)
        file = self._t.first("file", **_place(path))
        if found is None or file is None:
            return self._new_day(path, is_open=False), 0, 0
        if found["is_open"]:
            self._t.run("close_line", day=found["id"])
            self._t.run("close_day", day=found["id"])
        return found["id"], file["size"] + found["is_open"], file["mtime_ns"]

    def _new_day(self, path: str, *, is_open: bool) -> int:
        return self._t.run("new_day", stream=self._stream, path=path, is_open=int(is_open)).lastrowid or 0

    def _put_file(self, path: str, day: int, size: int, mtime_ns: int) -> None:
        stamp = {"mtime_ns": mtime_ns, "size": size}
        self._t.run("put_file", **_place(path), **stamp, version=None, content=None, day=day)
        self._t.changed.append(path)


def _columns_of(stream: str, line: bytes) -> dict[str, Any]:
    """What a line says of itself, when an entry can follow on it."""
    fields = parse_line(line)
    if fields is None or not can_be_followed(fields, stream) or not is_encodable(fields["writer"]):
        return dict.fromkeys(("writer", "seq", "hash", "key"))
    key = fields.get("key")
    is_key = isinstance(key, str) and is_encodable(key)
    return {"writer": fields["writer"], "seq": fields["seq"], "hash": fields["hash"], "key": key if is_key else None}


def _place(path: str) -> dict[str, str]:
    folder, _, name = path.rpartition("/")
    return {"folder": f"{folder}/", "name": name}
