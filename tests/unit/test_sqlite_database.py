"""The database's file and its transactions: schema, damage, permissions, full disks, locks, and writing together."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from children import environment

from argosy_core.clock import SystemClock
from argosy_core.errors import (
    AlreadyExists,
    ArgosyError,
    Conflict,
    Corrupted,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    TooLarge,
    Unavailable,
)
from argosy_core.ids import SystemIds
from argosy_core.named_sql import named_statements, sql_text
from argosy_core.storage.base import NewItem
from argosy_core.storage.opening import open_store, parsed
from argosy_core.storage.sqlite import database, database_file
from argosy_core.storage.sqlite.database_file import PACKAGE, migrations, statements_of
from argosy_core.storage.sqlite.store import SqliteStore

pytestmark = pytest.mark.anyio
ADDRESS = "sqlite:///fleet.sqlite"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fleet.sqlite"


@pytest.fixture
def store(path: Path) -> Generator[SqliteStore]:
    store = opened(path)
    store.files.replace("harbor/model.md", b"# MODEL\n")
    yield store
    store.close()


def opened(path: Path) -> SqliteStore:
    return SqliteStore(path, path.parent, SystemClock(), SystemIds())


def raw(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(path, isolation_level=None))


def schema_of(scripts: list[str]) -> list[tuple[str, ...]]:
    with raw(Path(":memory:")) as db:
        for script in scripts:
            for statement in statements_of(script):
                db.execute(statement)
        return db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name").fetchall()


# The file


def test_the_schema_is_all_migrations_together() -> None:
    assert schema_of([sql_text(PACKAGE, "schema.sql")]) == schema_of(list(migrations()))


def test_every_named_statement_is_one_of_the_schema() -> None:
    with raw(Path(":memory:")) as db:
        for statement in statements_of(sql_text(PACKAGE, "schema.sql")):
            db.execute(statement)
        for package, file in ((PACKAGE, "queries.sql"), ("argosy_core.storage", "item_queries.sql")):
            for sql in named_statements(package, file).values():
                db.execute(f"EXPLAIN {sql}", dict.fromkeys(sqlite3_names(sql)))


def sqlite3_names(sql: str) -> list[str]:
    return [word[1:] for word in sql.replace(",", " ").replace("(", " ").replace(")", " ").split() if word[0] == ":"]


def test_an_older_database_is_brought_up_and_keeps_what_it_has(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.close()
    more = [
        *migrations(),
        "CREATE TABLE newer (x INTEGER);\n-- a comment; with a semicolon\nINSERT INTO newer VALUES (7);",
    ]
    monkeypatch.setattr(database_file, "migrations", lambda: more)
    for _ in range(2):
        again = opened(path)
        assert again.files.read("harbor/model.md").data == b"# MODEL\n"
        again.close()
    with raw(path) as db:
        assert db.execute("SELECT x FROM newer").fetchall() == [(7,)]
        assert db.execute("PRAGMA user_version").fetchone() == (len(more),)


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.close()
    before = [*migrations()]
    more = [*before, "CREATE TABLE newer (x INTEGER);\nINSERT INTO nowhere VALUES (1);"]
    with monkeypatch.context() as patched, pytest.raises(ArgosyError):
        patched.setattr(database_file, "migrations", lambda: more)
        opened(path)
    opened(path).close()
    with raw(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(before),)


def test_a_newer_schema_is_refused_with_both_versions(path: Path, store: SqliteStore) -> None:
    store.close()
    with raw(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(InvalidArgument, match=rf"version 99; .* up to {len(migrations())}") as caught:
        opened(path)
    assert "update Argosy" in (caught.value.hint or "")


def test_another_programs_database_is_left_alone(path: Path) -> None:
    with raw(path) as db:
        db.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(InvalidArgument, match="not a database of Argosy's"):
        opened(path)
    path.with_name("empty").touch()
    with pytest.raises(InvalidArgument):
        opened(path.with_name("empty"))
    assert path.read_bytes() == before


def test_what_is_no_database_is_corrupted_and_left_as_it_is(path: Path) -> None:
    for garbage in (b"not a database" * 999, b"SQLite format 3\0" + b"\xff" * 9000):
        path.write_bytes(garbage)
        with pytest.raises(Corrupted) as caught:
            opened(path)
        assert caught.value.hint and str(path.parent) not in str(caught.value)
        assert path.read_bytes() == garbage


def test_a_database_damaged_in_the_middle_is_corrupted_when_that_is_read(path: Path, store: SqliteStore) -> None:
    for number in range(60):
        store.files.replace(f"harbor/memory/{number:0>150}.md", b"x" * 5000)
    store.close()
    data = bytearray(path.read_bytes())
    data[8192 : len(data) - 4096] = b"\xa5" * (len(data) - 12288)
    path.write_bytes(data)
    with pytest.raises(Corrupted) as caught:
        again = opened(path)
        try:
            list(again.files.walk("harbor"))
        finally:
            again.close()
    assert "put back a copy" in (caught.value.hint or "")


def test_a_database_that_must_not_be_written_says_so(path: Path, store: SqliteStore) -> None:
    if os.geteuid():
        store.close()
        path.chmod(0o400)
        store = opened(path)
    else:  # root writes whatever the mode is
        store.database._writer.execute("PRAGMA query_only = ON")
    with pytest.raises(PermissionDenied, match="no permission to write"):
        store.files.replace("harbor/a.md", b"x")
    assert store.files.read("harbor/model.md").data
    store.close()


async def test_a_full_disk_fails_what_does_not_fit_and_nothing_else(path: Path, store: SqliteStore) -> None:
    pages = store.database._writer.execute("PRAGMA page_count").fetchone()[0]
    store.database._writer.execute(f"PRAGMA max_page_count = {pages + 6}")
    outcomes: dict[int, str] = {}

    async def write(number: int, size: int) -> None:
        try:
            await store.documents.write(f"harbor/n{number}.md", b"x" * size)
            outcomes[number] = "ok"
        except Unavailable as error:
            outcomes[number] = error.message

    async with anyio.create_task_group() as tasks:
        for number, size in enumerate((10, 100_000, 10, 1_000_000, 10)):
            tasks.start_soon(write, number, size)
    full = "the disk is full: nothing was written"
    assert outcomes == {0: "ok", 1: full, 2: "ok", 3: full, 4: "ok"}
    with pytest.raises(Unavailable, match="full"):
        await store.chain.append("harbor", "w", {"text": "x" * 200_000})
    store.database._writer.execute("PRAGMA max_page_count = 1000000")
    assert [info.path for info in store.files.files("harbor")] == [
        "harbor/model.md", "harbor/n0.md", "harbor/n2.md", "harbor/n4.md",
    ]  # fmt: skip
    assert (await store.chain.append("harbor", "w", {"n": 1})).seq == 1
    with raw(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_lock_that_lasts_is_unavailable_and_then_it_works(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_file, "BUSY_SECONDS", 0.05)
    store = opened(path)
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        for write in (
            partial(store.documents.write, "harbor/a.md", b"x"),
            partial(store.items.enqueue, NewItem("q", {"n": 1})),
            partial(store.leases.acquire, "job", "me", 30),
        ):
            with pytest.raises(Unavailable, match="in use by another writer") as caught:
                await write()
            assert caught.value.retryable and caught.value.hint
        assert await store.documents.info("harbor/a.md") is None, "reading goes on meanwhile"
    await store.documents.write("harbor/a.md", b"x")
    assert (await store.chain.append("harbor", "w", {})).seq == 1
    store.close()


def test_a_database_is_made_once_by_many_who_ask_at_once(path: Path) -> None:
    stores: list[SqliteStore] = []
    failed: list[BaseException] = []

    def make(number: int) -> None:
        try:
            store = opened(path)
            store.files.replace(f"harbor/{number}.md", b"x")
            stores.append(store)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(stores[0].files.files("harbor")) == 8
    for store in stores:
        store.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name], "no draft is left, and no log"


def test_the_files_of_a_database_are_the_owners_alone(path: Path, store: SqliteStore) -> None:
    assert {file.name: file.stat().st_mode & 0o777 for file in path.parent.glob("fleet*")} == dict.fromkeys(
        ("fleet.sqlite", "fleet.sqlite-wal", "fleet.sqlite-shm"), 0o600
    )


def test_every_writer_syncs_each_commit(store: SqliteStore) -> None:
    writer = store.database._writer
    assert writer.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert writer.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_copy_that_another_tool_made_is_written_ahead_again(path: Path, store: SqliteStore) -> None:
    copy = path.with_name("copy.sqlite")
    store.database._writer.execute(f"VACUUM INTO '{copy}'")
    again = opened(copy)
    assert again.database._writer.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert again.files.read("harbor/model.md").data == b"# MODEL\n"
    again.close()


def test_a_closed_store_says_so(store: SqliteStore) -> None:
    store.close()
    store.close()
    for call in (partial(store.files.read, "harbor/model.md"), partial(store.files.replace, "harbor/a.md", b"x")):
        with pytest.raises(Unavailable, match="closed"):
            call()


# Writing together


async def test_each_of_those_who_write_together_fails_alone(store: SqliteStore) -> None:
    old = await store.documents.write("harbor/a.md", b"one")
    failed: dict[int, type] = {}

    async def write(number: int) -> None:
        try:
            if number % 8 == 3:
                await store.documents.write("harbor/a.md", b"x", expect="0" * 64)
            elif number % 8 == 5:
                await store.items.complete("nothing", "token", {})
            elif number % 8 == 7:
                await store.documents.write("harbor/a.md", b"x", expect="")
            else:
                await store.documents.write(f"harbor/n{number}.md", b"x", expect="")
        except ArgosyError as error:
            failed[number] = type(error)

    async with anyio.create_task_group() as tasks:
        for number in range(32):
            tasks.start_soon(write, number)
    kinds = {3: Conflict, 5: NotFound, 7: AlreadyExists}
    assert failed == {number: kinds[number % 8] for number in range(32) if number % 8 in kinds}
    assert await store.documents.read("harbor/a.md") == old
    assert len(await store.documents.list("harbor", ".md")) == 2 + 32 - len(failed)


async def test_those_who_write_together_share_a_commit(store: SqliteStore) -> None:
    commits: list[str] = []
    store.database._writer.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)

    async def work(number: int) -> None:
        await store.items.enqueue(NewItem("q", {"n": number}))

    async def log(number: int) -> None:
        await store.chain.append("harbor", "w", {"n": number})

    for one in (work, log):
        commits.clear()
        async with anyio.create_task_group() as tasks:
            for number in range(64):
                tasks.start_soon(one, number)
        assert len(commits) <= 4
    assert dict(await store.items.counts("q")) == {"ready": 64}
    assert (await store.chain.verify("harbor")).entries == 64


async def test_a_bug_in_one_piece_of_work_is_its_callers_alone(store: SqliteStore) -> None:
    outcomes: list[Any] = []

    async def run(work: Any) -> None:
        try:
            outcomes.append(await store.database.submit(work))
        except ZeroDivisionError as error:
            outcomes.append(type(error))

    async with anyio.create_task_group() as tasks:
        for work in (lambda _: 1, lambda _: 1 // 0, lambda _: 2, lambda _: 3):
            tasks.start_soon(run, work)
    assert outcomes.count(ZeroDivisionError) == 1
    assert {1, 2, 3} <= set(outcomes)


async def test_text_that_utf8_cannot_carry_is_refused(store: SqliteStore) -> None:
    for call in (
        partial(store.items.get, "it\ud800"),
        partial(store.chain.find, "harbor", "w", "k\ud800"),
        partial(store.chain.append, "harbor", "w", {}, key="k\ud800"),
        partial(store.items.list, None, None, creator="\ud800"),
    ):
        with pytest.raises(InvalidArgument):
            await call()


async def test_what_is_too_large_for_a_database_is_named(store: SqliteStore) -> None:
    store.database._writer.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)
    with pytest.raises(TooLarge):
        await store.documents.write("harbor/a.md", b"x" * 20_000)
    assert (await store.documents.write("harbor/b.md", b"x")).data == b"x"


# The bell


async def test_changes_of_every_kind_are_told_to_others_and_old_ones_are_forgotten(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "CHANGES_KEPT", 10)
    monkeypatch.setattr(database, "TRIM_EVERY", 4)
    item, _ = await store.items.enqueue(NewItem("q", {"n": 1}))
    await store.items.cancel(item.id)
    await store.chain.append("harbor", "w", {"n": 1})
    await store.leases.acquire("job", "me", 30)
    store.files.remove("harbor/model.md")
    with raw(path) as db:
        told = {told for (paths,) in db.execute("SELECT paths FROM changes") for told in paths.split("\n")}
        assert {"harbor/model.md", "_fleet/leases/job.json"} < told
        assert {f"_fleet/queue/q/{state}/{item.id}.json" for state in ("ready", "cancelled")} < told
        assert any(path.startswith("harbor/log/") for path in told)
        for number in range(40):
            store.files.replace("harbor/a.md", b"%d" % number)
        assert db.execute("SELECT count(*) FROM changes").fetchone()[0] < 20


def test_who_slept_through_too_many_changes_hears_that_anything_may_have_changed(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "CHANGES_KEPT", 3)
    monkeypatch.setattr(database, "TRIM_EVERY", 1)
    heard: list[frozenset[str]] = []
    store.bell.listen("", heard.append)
    connection = store.database.connect()
    for number in range(20):
        store.files.replace("harbor/a.md", b"%d" % number)
    last = store.bell._tell_after(connection, 1)
    assert heard == [frozenset({""})]
    store.files.replace("harbor/b.md", b"x")
    assert store.bell._tell_after(connection, last) == last + 1
    assert heard[1:] == [frozenset({"harbor/b.md"})]
    connection.close()


# Its address


def test_an_address_names_a_file_from_the_vaults_folder_or_from_the_root(tmp_path: Path) -> None:
    assert parsed("sqlite:///fleet.sqlite") == ("sqlite", "fleet.sqlite")
    assert parsed("sqlite:////srv/a%20b.sqlite") == ("sqlite", "/srv/a b.sqlite")
    for bad in ("sqlite://host/x", "sqlite:", "sqlite:///", "sqlite:///x?mode=ro", "sqlite:///x#y", "sqlite:///a%00b"):
        with pytest.raises(InvalidArgument):
            parsed(bad)
    for unknown in ("mysql://x", "nonsense", "", "http://[x"):
        with pytest.raises(InvalidArgument, match="store"):
            open_store(tmp_path, unknown)


def test_opening_makes_nothing_unless_it_is_asked_to(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no vault"):
        open_store(tmp_path / "none", ADDRESS)
    with pytest.raises(NotFound, match=r"no database fleet\.sqlite"):
        open_store(tmp_path, ADDRESS)
    assert list(tmp_path.iterdir()) == []
    store = open_store(tmp_path / "new", ADDRESS, create=True)
    store.files.replace("harbor/a.md", b"x")
    store.close()
    again = open_store(tmp_path / "other", store.address, create=True)
    assert again.files.read("harbor/a.md").data == b"x", "its address opens it from anywhere"
    assert again.state_path("index.sqlite").is_relative_to(tmp_path / "other/.argosy")
    again.close()


def test_the_substrate_is_imported_only_when_it_is_named() -> None:
    code = (
        "import sys; from argosy_core.storage.opening import open_store; "
        "sys.exit(any(name.startswith('argosy_core.storage.sqlite') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-P", "-c", code], env=environment(), check=False).returncode == 0


# Power


async def test_whatever_is_left_of_the_log_of_writes_is_the_store_as_it_was_at_one_moment(
    path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = opened(path)
    store.database._writer.execute("PRAGMA wal_autocheckpoint = 0")
    for number in range(12):
        await store.documents.write("harbor/count.md", b"%d" % number, keep_version=True)
        await store.chain.append("harbor", "w", {"n": number}, key=f"k{number}")
        await store.items.enqueue(NewItem("q", {"n": number}, key=f"k{number}"))
    whole, log = path.read_bytes(), Path(f"{path}-wal").read_bytes()
    store.close()
    chance = random.Random(20261126)
    seen: set[int] = set()
    for cut in sorted(chance.sample(range(len(log)), 24)):
        left = bytearray(log)
        if cut % 2:
            del left[cut:]  # what was never written
        else:
            left[cut : cut + 512] = b"\xa5" * 512  # a sector that was torn
        place = tmp_path_factory.mktemp("cut") / "fleet.sqlite"
        place.write_bytes(whole)
        Path(f"{place}-wal").write_bytes(left)
        seen.add(await written_of(place))
    assert min(seen) < 4 and max(seen) > 8


async def written_of(path: Path) -> int:
    """How many entries are left; everything else is as it was when the last of them was made, or one step on."""
    store = opened(path)
    entries = [line["n"] async for line in store.chain.scan("harbor")] if "harbor" in store.files.folders() else []
    info = store.files.info("harbor/count.md")
    counted = int(store.files.read(info.path).data) + 1 if info else 0
    items, _ = await store.items.list("q", limit=100)
    versions = len(await store.documents.versions("harbor/count.md"))
    assert entries == list(range(len(entries)))
    assert len(items) <= len(entries) <= counted <= len(items) + 1
    assert versions == max(0, counted - 1)
    assert (await store.chain.verify()).ok
    assert store.database._writer.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    await store.documents.write("harbor/count.md", b"after")
    store.close()
    return len(entries)
