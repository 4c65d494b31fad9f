"""The database's file: made whole or not at all, known by its marks, and brought up to this program's schema."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cache
from importlib import resources
from pathlib import Path

from argosy_core.errors import InvalidArgument, NotFound
from argosy_core.ids import Ids
from argosy_core.named_sql import sql_text
from argosy_core.os_errors import os_errors
from argosy_core.storage.sqlite.sqlite_errors import sqlite_errors

PACKAGE = "argosy_core.storage.sqlite"
APPLICATION_ID = 0x41525354
BUSY_SECONDS = 10.0
CACHE_KIB = 8_000
KEPT_LOG_BYTES = 64 * 1024 * 1024  # what stays of the write-ahead log's file after it was longer


@cache
def migrations() -> Sequence[str]:
    """The SQL of every migration; a schema's version is their number."""
    folder = resources.files(PACKAGE).joinpath("migrations")
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    return [folder.joinpath(name).read_text(encoding="utf-8") for name in names]


def prepare(path: Path, ids: Ids, *, create: bool) -> None:
    """Make sure that *path* is a database of this program's schema; with *create* it is made when it is not there.

    Raises NotFound, InvalidArgument (another program's database, or a newer schema), Corrupted, PermissionDenied,
    Unavailable.
    """
    if not path.exists():
        if not create:
            raise NotFound(f"there is no database {path.name}", hint="check the path after sqlite:///")
        with os_errors(path.name), sqlite_errors():
            _make(path, ids)
    with sqlite_errors(), closing(connect(path)) as connection:
        _check(connection, path.name)
        if _number(connection, "user_version") < len(migrations()):
            _migrate(connection, path.name)
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":  # a copy that was made by another tool
            connection.execute("PRAGMA journal_mode = WAL")


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the database that is at *path*, for one thread at a time. What it commits is on the disk."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        connection.row_factory = sqlite3.Row
        for pragma in (
            "synchronous = FULL",
            "trusted_schema = OFF",
            f"cache_size = -{CACHE_KIB}",
            f"journal_size_limit = {KEPT_LOG_BYTES}",
        ):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def _make(path: Path, ids: Ids) -> None:
    """Under another name first: nobody ever finds half a database."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{ids.random(6).hex()}.tmp")
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with closing(connect(draft)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            _run(connection, sql_text(PACKAGE, "schema.sql"), len(migrations()))
        try:
            os.link(draft, path)
        except FileExistsError:
            return  # another process made it
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _check(connection: sqlite3.Connection, name: str) -> None:
    if _number(connection, "application_id") != APPLICATION_ID:
        hint = "name another file; a new one is made where none is"
        raise InvalidArgument(f"{name} is not a database of Argosy's", hint=hint)
    found, known = _number(connection, "user_version"), len(migrations())
    if found > known:
        message = f"{name} has schema version {found}; this Argosy knows versions up to {known}"
        raise InvalidArgument(message, hint="update Argosy on this machine")


def _migrate(connection: sqlite3.Connection, name: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        _check(connection, name)  # another process may have been first
        for number, script in enumerate(migrations(), 1):
            if number > _number(connection, "user_version"):
                for statement in statements_of(script):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _run(connection: sqlite3.Connection, script: str, version: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in statements_of(script):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute("COMMIT")


def statements_of(script: str) -> Iterator[str]:
    """The statements of *script* one by one: run together they would each be a transaction."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
