"""Canaries: random values that are planted as secrets and then looked for wherever something may have leaked.

Written without the code that takes values out, so that what one of the two does not think of is not hidden by the
other. A search that finds nothing proves something only where a planted leak is found: test each sink with one.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import logging
import sqlite3
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argosy_core.ids import Ids

_PLAIN = b"abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_SIGNS = "\"'\\/+=&%<> é–😀\n"
_SQLITE = b"SQLite format 3\0"
_FORMAT = logging.Formatter("%(name)s %(message)s")


@dataclass(frozen=True, slots=True)
class Leak:
    """A canary that was found: which, in which form, where."""

    name: str
    form: str
    sink: str


class Canaries:
    """*values* by name: letters and digits in every one, signs that programs escape in every third."""

    def __init__(self, count: int, ids: Ids, chars: int = 32) -> None:
        self.values = {f"CANARY_{number:03}": _value(ids, number, chars) for number in range(count)}
        self._needles = [
            (name, form, needle) for name, value in self.values.items() for form, needle in _forms(value).items()
        ]

    def in_bytes(self, data: bytes, sink: str) -> list[Leak]:
        """Leaks in *data*, also where a value is broken over two lines."""
        joined = b"".join(data.split())
        return [
            Leak(name, form, sink)
            for name, form, needle in self._needles
            if needle in data or b"".join(needle.split()) in joined
        ]

    def in_text(self, text: str, sink: str) -> list[Leak]:
        """Leaks in *text*."""
        return self.in_bytes(text.encode("utf-8", "surrogatepass"), sink)

    def in_object(self, value: Any, sink: str) -> list[Leak]:
        """Leaks in a result, an error or anything else: as it prints, as JSON, and with all that it holds."""
        return self.in_text("\n".join(_shown(value)), sink)

    def in_records(self, records: Iterable[logging.LogRecord], sink: str = "log") -> list[Leak]:
        """Leaks in log records: as printed with tracebacks, with the arguments and all other fields."""
        texts: list[str] = []
        for record in records:
            texts.append(_FORMAT.format(record))
            texts += [str(value) for value in vars(record).values()]
        return self.in_text("\n".join(texts), sink)

    def in_folder(self, folder: Path) -> list[Leak]:
        """Leaks in names and bytes of all files below *folder*, logs of databases among them, and in their rows."""
        found: list[Leak] = []
        for path in sorted(folder.rglob("*")):
            sink = str(path.relative_to(folder))
            found += self.in_text(sink, f"name of {sink}")
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                found += self.in_bytes(data, sink)
                if data.startswith(_SQLITE):
                    found += self.in_text("\n".join(_cells(path)), f"rows of {sink}")
        return found


def _value(ids: Ids, number: int, chars: int) -> str:
    text = "".join(chr(_PLAIN[byte % len(_PLAIN)]) for byte in ids.random(chars))
    if number % 3:
        return text
    signs = iter(ids.random(chars // 4))
    return "".join(
        char + (_SIGNS[next(signs) % len(_SIGNS)] if at % 4 == 1 and at + 1 < chars else "")
        for at, char in enumerate(text)
    )


def _forms(value: str) -> dict[str, bytes]:
    data = value.encode()
    forms = {
        "raw": data,
        "hex": binascii.hexlify(data),
        "HEX": binascii.hexlify(data).upper(),
        "url": urllib.parse.quote(value, safe="").encode(),
        "url_path": urllib.parse.quote(value).encode(),
        "url_form": urllib.parse.quote_plus(value).encode(),
        "json": json.dumps(value)[1:-1].encode(),
        "json_utf8": json.dumps(value, ensure_ascii=False)[1:-1].encode(),
        "json_twice": json.dumps(json.dumps(value))[3:-3].encode(),
        "repr": repr(value)[1:-1].encode(),
        "reversed": value[::-1].encode(),
        "start": data[: len(data) * 2 // 3],
        "end": data[-(len(data) * 2 // 3) :],
    }
    for shift in range(3):
        # Whole groups of three bytes only: what is left over depends on its neighbours.
        whole = data[shift:][: (len(data) - shift) // 3 * 3]
        forms[f"base64_{shift}"] = base64.standard_b64encode(whole)
        forms[f"base64url_{shift}"] = base64.urlsafe_b64encode(whole)
    return forms


def _shown(value: Any) -> Iterator[str]:
    yield repr(value)
    yield str(value)
    dump = getattr(value, "model_dump_json", None)
    if callable(dump):
        yield str(dump())
    with contextlib.suppress(TypeError, ValueError, RecursionError):
        yield json.dumps(value, default=str, ensure_ascii=False)
    if isinstance(value, BaseException):
        yield from map(str, (value.args, vars(value)))
        if value.__cause__ is not None:
            yield from _shown(value.__cause__)
        if value.__context__ is not None:
            yield from _shown(value.__context__)
    elif isinstance(value, Mapping):
        for item in value.values():  # pyright: ignore[reportUnknownVariableType]
            yield from _shown(item)
    elif isinstance(value, list | tuple):
        for item in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _shown(item)


def _cells(path: Path) -> Iterator[str]:
    connection = sqlite3.connect(f"file:{urllib.parse.quote(str(path))}?mode=ro", uri=True)
    try:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            quoted = table.replace('"', '""')
            try:
                for row in connection.execute(f'SELECT * FROM "{quoted}"'):  # noqa: S608 - a name that it has itself
                    yield from (cell if isinstance(cell, str) else repr(cell) for cell in row)
            except sqlite3.OperationalError:
                continue  # a virtual table whose module is not here: its bytes were searched
    finally:
        connection.close()
