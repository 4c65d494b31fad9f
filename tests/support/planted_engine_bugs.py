"""The bugs that the stores over SQLite, PostgreSQL and Redis may have, each put back into the real code on demand.

Most are changes of a statement's or a script's text; one that is not there any more is an AttributeError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from planted_bugs import Set, an_older_token_is_accepted

from argosy_core.storage.postgres import database as postgres_database
from argosy_core.storage.postgres.bell import PostgresBell
from argosy_core.storage.postgres.database import Database as PostgresDatabase
from argosy_core.storage.redis import leases as redis_leases
from argosy_core.storage.sql_files import Statement
from argosy_core.storage.sqlite import database as sqlite_database
from argosy_core.storage.sqlite.log_rows import StreamRows

ENGINE_BUGS: dict[str, Callable[[Set], None]] = {}


def bug(plant: Callable[[Set], None]) -> Callable[[Set], None]:
    """Register *plant* under its name."""
    ENGINE_BUGS[plant.__name__.replace("_", " ")] = plant
    return plant


def without(text: str, *parts: str, instead: str = "") -> str:
    """*text* with *instead* for each of *parts*. Raises AttributeError when one is not in it."""
    for part in parts:
        if part not in text:
            raise AttributeError(f"the plant does not fit the code any more: {part!r} is not there")
        text = text.replace(part, instead)
    return text


# SQLite


class _Deferred:
    """A connection whose transactions take the lock when they first write, and not when they begin."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def execute(self, text: str, *values: Any) -> Any:
        return self._inner.execute("BEGIN" if text == "BEGIN IMMEDIATE" else text, *values)


@bug
def sqlite_begins_without_the_lock(set: Set) -> None:
    real = sqlite_database.connect

    def connect(path: Path) -> Any:
        return _Deferred(real(path))

    set(sqlite_database, "connect", connect)


@bug
def sqlite_accepts_an_older_token(set: Set) -> None:
    an_older_token_is_accepted(set)


@bug
def sqlite_forgets_a_key(set: Set) -> None:
    def entry_of_key(rows: StreamRows, writer: str, key: str) -> None:
        return None

    set(StreamRows, "entry_of_key", entry_of_key)


# PostgreSQL


def _change_statement(set: Set, file: str, name: str, *parts: str, instead: str = "") -> None:
    real = postgres_database.numbered_statements
    statement = real(postgres_database.PACKAGE, file)[name]
    changed = replace(statement, text=without(statement.text, *parts, instead=instead))

    def numbered_statements(package: str, asked: str) -> Mapping[str, Statement]:
        found = real(package, asked)
        return {**found, name: changed} if asked == file else found

    set(postgres_database, "numbered_statements", numbered_statements)


@bug
def postgres_claims_without_the_rows_lock(set: Set) -> None:
    _change_statement(set, "items.sql", "claim", " FOR UPDATE SKIP LOCKED")


@bug
def postgres_waits_for_who_claims(set: Set) -> None:
    _change_statement(set, "items.sql", "claim", " SKIP LOCKED")


@bug
def postgres_completes_without_comparing(set: Set) -> None:
    compared = " AND i.state = 'leased' AND i.revision = f.revision AND i.token = f.token"
    _change_statement(set, "items.sql", "complete", compared)


@bug
def postgres_acknowledges_before_the_commit_is_written(set: Set) -> None:
    real = PostgresDatabase._options  # pyright: ignore[reportPrivateUsage]

    def options(database: PostgresDatabase) -> dict[str, Any]:
        given = real(database)
        return {**given, "server_settings": {**given["server_settings"], "synchronous_commit": "off"}}

    set(PostgresDatabase, "_options", options)


@bug
def postgres_notifies_nobody(set: Set) -> None:
    async def send(bell: PostgresBell, payloads: Sequence[str], session: Any, again: bool) -> None:
        return None

    set(PostgresBell, "_send", send)


@bug
def postgres_repeats_what_may_have_happened(set: Set) -> None:
    real = PostgresDatabase.run

    async def run(database: PostgresDatabase, file: str, work: Any) -> Any:
        return await real(database, file, lambda session, _: work(session, False))

    set(PostgresDatabase, "run", run)


# Redis


def _change_script(set: Set, name: str, part: str) -> None:
    real = redis_leases._script  # pyright: ignore[reportPrivateUsage]
    changed = without(real(name), part)

    def script(asked: str) -> str:
        return changed if asked == name else real(asked)

    set(redis_leases, "_script", script)


@bug
def redis_releases_anybodys_lease(set: Set) -> None:
    _change_script(set, "release", " and redis.call('HGET', KEYS[1], 'token') == ARGV[1]")


@bug
def redis_begins_generations_anew(set: Set) -> None:
    _change_script(set, "acquire", ", tonumber(time[1]) * 1000000 + tonumber(time[2])")


@bug
def redis_renews_what_ended(set: Set) -> None:
    _change_script(set, "renew", " or tonumber(last[2]) <= tonumber(ARGV[2])")
