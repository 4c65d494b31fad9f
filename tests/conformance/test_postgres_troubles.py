"""PostgreSQL with its troubles: answers that are lost, servers that restart, tables of other versions, bad URLs."""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Generator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from cutting_proxy import CuttingProxy
from postgres_server import PostgresServer, run_sql

from argosy_core.clock import SystemClock
from argosy_core.errors import ArgosyError, Conflict, InvalidArgument, NotFound, Unavailable
from argosy_core.ids import SystemIds
from argosy_core.storage.base import ABSENT, Item, NewItem, Store
from argosy_core.storage.chain_redaction import redaction_event
from argosy_core.storage.moving import compare, move
from argosy_core.storage.opening import open_store
from argosy_core.storage.postgres import database, migrating, troubles
from argosy_core.storage.postgres.address import parse_address
from argosy_core.storage.postgres.bell import MAX_PAYLOAD_BYTES, payloads_of
from argosy_core.storage.postgres.database import Session
from argosy_core.storage.postgres.store import PostgresStore
from argosy_core.testing.conformance import steps as conformance_steps
from argosy_core.testing.conformance.bell import listening
from argosy_core.testing.conformance.steps import CHAIN_STEPS, DOCUMENT_STEPS, ITEM_STEPS, LEASE_STEPS
from argosy_core.testing.fakes import FakeClock

pytestmark = pytest.mark.anyio
TEMPLATE = Path(__file__).resolve().parents[2] / "vault-template"
MOST_ANSWERS = 100  # no step has so many
STRIDE = 7  # of the answers that are lost in the tests that always run
Step = Callable[[Store], Awaitable[Any]]


def opened(url: str, root: Path) -> PostgresStore:
    return PostgresStore(url, root, SystemClock(), SystemIds())


@pytest.fixture
def proxy(postgres: PostgresServer) -> Generator[CuttingProxy]:
    with tempfile.TemporaryDirectory(prefix="argosy-cut-", dir="/tmp") as folder:
        between = CuttingProxy(Path(folder), postgres.socket_folder)
        try:
            yield between
        finally:
            between.close()


# Lost answers: each step gets a store on which each answer of the server in turn is lost, and must do its work once.


async def write_anything(store: Store) -> None:
    written = await store.documents.write("harbor/a.md", b"two")
    assert await store.documents.read("harbor/a.md") == written


async def write_new(store: Store) -> None:
    await store.documents.write("harbor/new.md", b"one", expect=ABSENT)
    assert (await store.documents.read("harbor/new.md")).data == b"one"


async def write_expecting(store: Store) -> None:
    old = await store.documents.read("harbor/a.md")
    await store.documents.write("harbor/a.md", b"two", expect=old.version, keep_version=True)
    assert len(await store.documents.versions("harbor/a.md")) == 1
    with pytest.raises(Conflict):
        await store.documents.write("harbor/a.md", b"three", expect=old.version)


async def remove(store: Store) -> None:
    await store.documents.remove("harbor/a.md")
    assert await store.documents.info("harbor/a.md") is None


async def append(store: Store) -> None:
    await store.chain.append("harbor", "w", {"n": 1})
    await store.chain.append("harbor", "w", {"n": 2}, key="k")
    await store.chain.append("harbor", "w", {"n": 3}, expect_seq=3)
    assert [line["n"] async for line in store.chain.scan("harbor")] == [1, 2, 3]
    assert (await store.chain.verify("harbor")).ok


async def lease(store: Store) -> None:
    held = await store.leases.acquire("job", "me", 30)
    renewed = await store.leases.renew(held, 60)
    assert await store.leases.current("job") == renewed
    await store.leases.release(renewed)
    assert await store.leases.current("job") is None


async def enqueue(store: Store) -> None:
    for new in (NewItem("q", {"n": 1}), NewItem("q", {"n": 2}, key="k"), NewItem("q", {}, key="c", conflict_keys="c")):
        item, duplicate = await store.items.enqueue(new)
        assert not duplicate
        assert await store.items.get(item.id) == item
    assert dict(await store.items.counts("q")) == {"ready": 3}


async def work(store: Store) -> None:
    ends = {name: (await take(store)) for name in ("complete", "fail", "release", "renew")}
    for name, (item, _) in ends.items():
        assert item.attempt == 1, name
    item, token = ends["complete"]
    assert (await store.items.complete(item.id, token, {"ok": True})).state == "done"
    item, token = ends["fail"]
    assert len((await store.items.fail(item.id, token, "no", 0)).failures) == 1
    item, token = ends["release"]
    assert (await store.items.release(item.id, token, "later")).holds == ("later",)
    assert (await store.items.retry(item.id)).state == "ready"
    assert (await store.items.cancel(item.id)).state == "cancelled"
    item, token = ends["renew"]
    assert (await store.items.renew(item.id, token, 60)).state == "leased"
    assert dict(await store.items.counts("work")) == {"done": 1, "ready": 1, "cancelled": 1, "leased": 1}


async def take(store: Store) -> tuple[Item, str]:
    [item] = await store.items.claim("work", "worker", 600)
    assert item.lease is not None
    return item, item.lease.token


async def work_with_keys(store: Store) -> None:
    [item] = await store.items.claim("keyed", "worker", 600, 5)
    assert item.lease is not None and item.attempt == 1
    assert (await store.items.complete(item.id, item.lease.token, {})).state == "done"
    [other] = await store.items.claim("keyed", "worker", 600, 5)
    assert other.attempt == 1


STEPS: tuple[Step, ...] = (
    *(write_anything, write_new, write_expecting, remove, append, lease, enqueue, work, work_with_keys),
)


async def prepared(url: str, root: Path) -> None:
    store = opened(url, root)
    await store.documents.write("harbor/a.md", b"one")
    for number in range(4):
        await store.items.enqueue(NewItem("work", {"n": number}, key=f"k{number}"))
    for number in range(2):
        await store.items.enqueue(NewItem("keyed", {"n": number}, conflict_keys=["c"]))
    store.close()


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
async def test_what_was_done_is_done_once_though_an_answer_is_lost(
    step: Step, proxy: CuttingProxy, postgres: PostgresServer, tmp_path: Path
) -> None:
    await lose_answers(step, proxy, postgres, tmp_path, range(STEPS.index(step) % STRIDE, MOST_ANSWERS, STRIDE))


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
async def test_what_was_done_is_done_once_whichever_answer_is_lost(
    step: Step, proxy: CuttingProxy, postgres: PostgresServer, tmp_path: Path
) -> None:
    await lose_answers(step, proxy, postgres, tmp_path, range(MOST_ANSWERS))


async def lose_answers(
    step: Step, proxy: CuttingProxy, postgres: PostgresServer, root: Path, numbers: Sequence[int]
) -> None:
    for number in numbers:
        url = postgres.url()
        await prepared(url, root)
        store = opened(proxy.url(url), root)
        proxy.cut(number)
        await step(store)
        is_over, _ = not proxy.was_cut, proxy.cut(1 << 30)
        store.close()
        if is_over:
            return
    raise AssertionError("the step has no end")


async def test_a_pool_that_lost_its_server_recovers_by_itself(postgres: PostgresServer, tmp_path: Path) -> None:
    store = opened(postgres.url(), tmp_path)
    await store.documents.write("harbor/a.md", b"one")
    for end in (postgres.crash, postgres.stop):
        end()
        found: list[bytes] = []
        async with anyio.create_task_group() as tasks:

            async def read(found: list[bytes] = found) -> None:
                found.append((await store.documents.read("harbor/a.md")).data)

            for _ in range(4):
                tasks.start_soon(read)
            await anyio.to_thread.run_sync(postgres.start)
        assert found == [b"one"] * 4
    store.close()


async def test_nothing_acknowledged_is_lost_and_nothing_is_done_twice_when_the_server_restarts(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    store = opened(postgres.url(), tmp_path)
    await store.documents.write("harbor/count.md", b"0")
    entries: list[int] = []
    done: list[str] = []
    is_over = anyio.Event()
    under_way = anyio.Event()

    async def log(writer: str) -> None:
        while not is_over.is_set():
            entries.append((await store.chain.append("harbor", writer, {"n": len(entries)})).seq)
            if len(entries) > 20:
                under_way.set()

    async def count() -> int:
        steps = 0
        while not is_over.is_set():
            old = await store.documents.read("harbor/count.md")
            await store.documents.write("harbor/count.md", b"%d" % (int(old.data) + 1), expect=old.version)
            steps += 1
        assert (await store.documents.read("harbor/count.md")).data == b"%d" % steps
        return steps

    async def labour(name: str) -> None:
        while not is_over.is_set():
            made, duplicate = await store.items.enqueue(NewItem(name, {}))
            assert not duplicate
            [item] = await store.items.claim(name, name, 600)
            assert (item.id, item.attempt) == (made.id, 1) and item.lease is not None
            await store.items.complete(item.id, item.lease.token, {})
            done.append(item.id)

    with anyio.fail_after(50):
        async with anyio.create_task_group() as tasks:
            for writer in ("a", "b"):
                tasks.start_soon(log, writer)
            tasks.start_soon(count)
            for name in ("x", "y"):
                tasks.start_soon(labour, name)
            for end in (postgres.crash, postgres.stop):
                await under_way.wait()
                await anyio.to_thread.run_sync(end)
                await anyio.to_thread.run_sync(postgres.start)
                under_way = anyio.Event()
            await under_way.wait()
            is_over.set()

    report = await store.chain.verify("harbor")
    assert report.ok
    assert report.entries == len(entries)
    assert len(done) == len(set(done)) == dict(await store.items.counts()).get("done")
    store.close()


async def test_a_server_that_is_gone_is_said_to_be(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PAUSES", (0.01, 0.01))
    store = opened(postgres.url(), tmp_path)
    postgres.stop()
    try:
        with pytest.raises(Unavailable) as caught:
            await store.documents.read("harbor/a.md")
        assert caught.value.hint
        with pytest.raises(Unavailable):
            await anyio.to_thread.run_sync(store.files.info, "harbor/a.md")
        with pytest.raises(Unavailable):
            opened(postgres.url(), tmp_path)
    finally:
        postgres.start()
    assert await store.documents.info("harbor/a.md") is None
    store.close()
    with pytest.raises(Unavailable):
        await store.documents.info("harbor/a.md")


# The server goes away: each step of each primitive, on a vault of its own.

PRIMITIVES = {"documents": DOCUMENT_STEPS, "chain": CHAIN_STEPS, "leases": LEASE_STEPS, "items": ITEM_STEPS}
WHICH = [(f"{name}{number}", step) for name, steps in PRIMITIVES.items() for number, step in enumerate(steps)]


async def stores_before_a_step(
    postgres: PostgresServer, root: Path
) -> list[tuple[str, conformance_steps.Step, PostgresStore, Any]]:
    """(name, step, store, what the step prepared) of each."""
    found: list[tuple[str, conformance_steps.Step, PostgresStore, Any]] = []
    for name, step in WHICH:
        store = opened(postgres.url(), root)
        await store.documents.write("harbor/a.md", b"x")
        found.append((name, step, store, await step.prepare(store, name)))
    return found


async def test_while_the_server_is_gone_each_call_tries_so_often_and_is_unavailable_and_then_works(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = await stores_before_a_step(postgres, tmp_path)
    monkeypatch.setattr(database, "PAUSES", (0.001,) * 5)
    tries: list[int] = []
    connected = database.Database._connected

    def counted(db: database.Database) -> Any:
        tries[-1] += 1
        return connected(db)

    monkeypatch.setattr(database.Database, "_connected", counted)
    await anyio.to_thread.run_sync(postgres.crash)
    try:
        for name, step, store, given in stores:
            tries.append(0)
            with anyio.fail_after(10), pytest.raises(Unavailable) as caught:
                await step.take(store, name, given)
            assert "PostgreSQL runs" in (caught.value.hint or ""), name
            assert 1 < tries[-1] <= 6, name
        stores[0][2].bell.ring("harbor/a.md")  # never raises
    finally:
        await anyio.to_thread.run_sync(postgres.start)
    monkeypatch.undo()
    for name, step, store, given in stores:
        await step.holds(store, name, given, False)
        store.close()


async def test_a_server_that_comes_back_in_time_is_not_noticed_and_nothing_is_done_twice(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    stores = await stores_before_a_step(postgres, tmp_path)
    await anyio.to_thread.run_sync(postgres.crash)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for name, step, store, given in stores:
                tasks.start_soon(step.take, store, name, given)
            await anyio.to_thread.run_sync(postgres.start)
    for name, step, store, given in stores:
        await step.holds(store, name, given, True)
        store.close()


async def test_the_bell_says_that_it_may_have_missed_something(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.url()
    one, two = opened(url, tmp_path), opened(url, tmp_path)
    with listening(one.bell) as ear:
        one.start()
        await ear.until("", "the beginning of watching")
        ear.calls.clear()
        await anyio.to_thread.run_sync(postgres.crash)
        await anyio.to_thread.run_sync(postgres.start)
        await ear.until("", "that it may have missed something")
        two.bell.ring("harbor/a.md")
        await ear.until("harbor/a.md", "a ring after the pause")
        await one.stop()
    one.close()
    two.close()


async def test_a_ring_goes_out_before_the_store_is_closed(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.url()
    one, two = opened(url, tmp_path), opened(url, tmp_path)
    with listening(one.bell) as ear:
        one.start()
        await ear.until("", "the beginning of watching")
        two.bell.ring(*(f"harbor/{number:0200}.md" for number in range(300)))
        two.close()
        await ear.until("harbor", "their folder")
        await one.stop()
    one.close()


def test_rings_are_folded_into_messages_that_a_notification_holds() -> None:
    for paths in (
        {"a.md"},
        {f"harbor/memory/{n}.md" for n in range(100)},
        {f"{n}/{'x' * 190}.md" for n in range(300)},
        {"/".join([c * 200] * 30) for c in "abc"},
        {"日" * 60 + f"/{n}" for n in range(200)},
    ):
        messages = list(payloads_of("me", paths))
        assert messages and all(len(message.encode()) <= MAX_PAYLOAD_BYTES for message in messages)
        assert len(messages) < 10


# Tables

CATALOG = """
SELECT 'column' AS kind, table_name || '.' || column_name AS name,
    concat_ws(' ', ordinal_position, data_type, collation_name, is_nullable, column_default) AS what
FROM information_schema.columns WHERE table_schema = $1
UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = $1
UNION ALL SELECT 'view', viewname, definition FROM pg_views WHERE schemaname = $1
UNION ALL SELECT 'sequence', sequencename, data_type::text FROM pg_sequences WHERE schemaname = $1
UNION ALL SELECT 'options', relname, array_to_string(reloptions, ' ') FROM pg_class
    WHERE relnamespace = $1::regnamespace AND reloptions IS NOT NULL
ORDER BY 1, 2
"""


async def catalog_of(url: str) -> list[tuple[str, str, str]]:
    address = parse_address(url)
    rows = await run_sql(address, CATALOG, address.schema)
    return [(row["kind"], row["name"], row["what"].replace(address.schema, "SCHEMA")) for row in rows]


async def test_a_new_schema_is_what_all_migrations_make(postgres: PostgresServer, tmp_path: Path) -> None:
    at_once, step_by_step = postgres.url(), postgres.url()
    opened(at_once, tmp_path).close()
    bare = opened(postgres.url(), tmp_path)
    other = database.Database(parse_address(step_by_step), bare.database.background)
    await bare.database.background.call(lambda: migrating.migrate(other, step_by_step=True))
    await bare.database.background.call(other.close)
    bare.close()
    assert await catalog_of(at_once) == await catalog_of(step_by_step)


async def test_tables_of_a_newer_program_are_left_alone(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.url()
    opened(url, tmp_path).close()
    newest = migrating.newest_version()
    await run_sql(parse_address(url), "INSERT INTO versions (version) VALUES ($1)", newest + 6)
    with pytest.raises(Conflict) as caught:
        opened(url, tmp_path)
    assert str(newest + 6) in caught.value.message and str(newest) in caught.value.message
    assert caught.value.hint and "upgrade" in caught.value.hint


async def test_many_that_open_a_new_vault_at_once_make_its_tables_once(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.url()
    stores: list[PostgresStore] = []

    async def open_one() -> None:
        stores.append(await anyio.to_thread.run_sync(opened, url, tmp_path))

    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(open_one)
    for store in stores:
        store.close()
    rows = await run_sql(parse_address(url), "SELECT version FROM versions")
    assert [row["version"] for row in rows] == [migrating.newest_version()]


async def test_vaults_share_a_database_and_nothing_else(postgres: PostgresServer, tmp_path: Path) -> None:
    one, two = opened(postgres.url(), tmp_path), opened(postgres.url(), tmp_path)
    await one.documents.write("harbor/a.md", b"x")
    await one.items.enqueue(NewItem("q", {}))
    await one.leases.acquire("job", "me", 30)
    assert list(await two.archive.paths()) == []
    assert await two.items.claim("q", "w", 30) == []
    await two.leases.acquire("job", "you", 30)
    one.close()
    two.close()


# URLs


@pytest.mark.parametrize(
    "url",
    (
        *("postgresql://u:s3cret@h:no/d", "postgresql://u:s3cret@[/d", "postgresql://u:s3cret@h/d?schema=A"),
        *("postgresql://u:s3cret@h/d?schema=a&schema=b", "postgresql://u:s3cret@h/d?schema=", "postgres://h/d?schema"),
        *("postgresql://u:s3cret@h/d?schema=pg_x", 'postgresql://u:s3cret@h/d?schema=a"b', "postgresql://h/d#x"),
        *("postgresql://u:s3cret@h/d?sslmode=nonsense", "mysql://u:s3cret@h/d", "postgresql://h/d?password=s3cret"),
    ),
)
def test_what_is_no_url_of_a_database_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument) as caught:
        open_store(tmp_path, url)
    assert "s3cret" not in f"{caught.value} {caught.value.__cause__} {caught.value.detail}"


async def test_a_password_is_in_no_error_and_no_log(
    postgres: PostgresServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PAUSES", (0.01,))
    said: list[str] = []
    with caplog.at_level(logging.DEBUG):
        for url in (
            "postgresql://me:s3cret@127.0.0.1:1/nowhere",
            postgres.url(password="s3cret", user="nobody_of_that_name"),
            postgres.url(password="s3cret").replace("/postgres?", "/no_such_database?"),
        ):
            with pytest.raises(ArgosyError) as caught:
                opened(url, tmp_path)
            failure: BaseException | None = caught.value
            while failure is not None:
                said.append(f"{failure} {failure!r} {getattr(failure, 'detail', '')}")
                failure = failure.__cause__ or failure.__context__
        for url in ("postgresql://me:s3cret@h/d", "postgresql://me:s3cret@h:1,h2/d?sslmode=prefer"):
            said.append(repr(parse_address(url)))
            assert parse_address(parse_address(url).public).public == parse_address(url).public
        store = opened(postgres.url(password="s3cret"), tmp_path)
        said.append(store.address.shown)
        store.close()
    assert "s3cret" not in " ".join([*said, caplog.text])


def test_a_database_that_is_not_there_is_not_found(postgres: PostgresServer, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="createdb"):
        opened(postgres.url().replace("/postgres?", "/no_such_database?"), tmp_path)


def test_a_folder_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        opened("postgresql://h/d", tmp_path / "none")


def test_a_missing_driver_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    troubles.driver.cache_clear()
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    try:
        with pytest.raises(Unavailable, match=r"argosy\[postgres\]"):
            open_store(tmp_path, "postgresql://h/d")
    finally:
        troubles.driver.cache_clear()


# What is different in a table


async def test_a_claim_leaves_the_record_and_is_the_rule_s_claim(postgres: PostgresServer, tmp_path: Path) -> None:
    clock = FakeClock()
    store = PostgresStore(postgres.url(), tmp_path, clock, SystemIds())
    for new in (NewItem("q", {"n": 1}), NewItem("q", {"n": 2}, conflict_keys=["c"])):  # at once, and in turn
        made, _ = await store.items.enqueue(new)
        clock.advance(1)
        [claimed] = await store.items.claim("q", "worker", 30)
        assert claimed.id == made.id
        assert (claimed.revision, claimed.generation) == (made.revision + 1, made.generation + 1)
        assert await store.items.get(made.id) == claimed
        assert claimed.lease and claimed.lease.expires_at == clock.now() + timedelta(seconds=30)
        path = f"_fleet/queue/q/leased/{made.id}.json"
        assert path in await store.archive.paths()
        assert claimed.lease.token.encode() in await store.archive.read(path)
    store.close()


async def test_a_day_put_in_before_others_voids_positions(postgres: PostgresServer, tmp_path: Path) -> None:
    store = opened(postgres.url(), tmp_path)
    await store.documents.write("harbor/a.md", b"x")
    await store.chain.append("harbor", "w", {"n": 1})
    position = (await store.chain.read_on("harbor")).position
    await store.archive.write("harbor/log/2001-01/2001-01-01.jsonl", b'{"old": 1}\n{"old": 2}')
    piece = await store.chain.read_on("harbor", position)
    assert piece.is_anew
    assert [line for _, line in piece.lines][:2] == [b'{"old": 1}', b'{"old": 2}']
    assert (await store.chain.append("harbor", "w", {"n": 2})).seq == 2
    assert (await store.chain.verify("harbor")).ok
    store.close()


async def test_days_of_logs_are_read_as_documents_and_not_written(postgres: PostgresServer, tmp_path: Path) -> None:
    store = opened(postgres.url(), tmp_path)
    await store.documents.write("harbor/a.md", b"x")
    for number in range(20):
        await store.chain.append("harbor", "w", {"n": number, "text": "x" * number})
    [month] = await store.documents.folders("harbor/log")
    [info] = await store.documents.list(f"harbor/log/{month}", ".jsonl")
    whole = (await store.documents.read(info.path)).data
    assert (len(whole), whole.count(b"\n")) == (info.stamp[1], 20)
    for offset in range(0, len(whole), 97):
        assert await store.documents.read_from(info.path, offset, 50) == whole[offset : offset + 50]
        assert await store.documents.read_from(info.path, offset) == whole[offset:]
    with pytest.raises(ArgosyError):
        await store.documents.write(info.path, b"x")
    with pytest.raises(ArgosyError):
        await store.documents.remove(info.path)
    store.close()


async def test_a_cancelled_caller_ends_its_query_and_leaks_no_connection(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.url()
    store = opened(url, tmp_path)
    mark = f"cancelled {parse_address(url).schema}"

    async def sleep() -> None:
        async def work(session: Session, _: bool) -> None:
            await session.script(f"SELECT pg_sleep(60) /* {mark} */")

        await store.database.call("documents.sql", work)

    async def running() -> int:
        found = await run_sql(
            parse_address(url),
            "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()",
            f"%/* {mark} */%",
        )
        return len(found)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for _ in range(2 * database.CONNECTIONS):  # more than there are connections: some wait for one
                tasks.start_soon(sleep)
            while await running() < database.CONNECTIONS:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        assert await running() == 0
        async with anyio.create_task_group() as tasks:
            for number in range(4 * database.CONNECTIONS):
                tasks.start_soon(store.documents.write, f"harbor/{number}.md", b"x")
    store.close()


async def test_a_redaction_voids_positions_and_leaves_the_day_readable(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    store = opened(postgres.url(), tmp_path)
    await store.documents.write("harbor/a.md", b"x")
    for number in range(5):
        await store.chain.append("harbor", "w", {"n": number, "text": "secret" * 20})
    position = (await store.chain.read_on("harbor")).position
    await store.chain.append("harbor", "log", redaction_event("w", 2, "asked for", "operator"))
    await store.chain.redact("harbor", "w", 2)
    assert (await store.chain.read_on("harbor", position)).is_anew
    [path] = [path for path in await store.archive.paths() if path.endswith(".jsonl")]
    info = await store.documents.info(path)
    data = await store.archive.read(path)
    assert info is not None and info.stamp[1] == len(data)
    assert data.count(b"secret") == 4 * 20
    assert data.count(b"\n") == 6
    await store.chain.append("harbor", "w", {"n": 5})
    assert (await store.chain.verify("harbor")).ok
    store.close()


async def test_a_vault_moves_in_and_out_byte_for_byte(postgres: PostgresServer, tmp_path: Path) -> None:
    root = tmp_path / "vault"
    shutil.copytree(TEMPLATE, root)
    files = open_store(root)
    [agent, *_] = [name for name in files.files.folders() if files.files.info(f"{name}/model.md")]
    for number in range(30):
        await files.chain.append(agent, "w", {"n": number}, key=f"k{number}")
        await files.items.enqueue(NewItem("q", {"n": number}, conflict_keys=["c"] if number % 3 else []))
    [leased, *_] = await files.items.claim("q", "worker", 600, 3)
    held = await files.leases.acquire("job", "me", 600)
    store = opened(postgres.url(), tmp_path)
    moved = await move(files.archive, store.archive)
    await compare(files.archive, store.archive)
    assert moved.files == len(await store.archive.paths())

    assert await store.leases.current("job") == held
    assert await store.items.get(leased.id) == leased
    assert dict(await store.items.counts("q")) == dict(await files.items.counts("q"))
    assert leased.lease is not None
    assert (await store.items.complete(leased.id, leased.lease.token, {})).state == "done"
    assert (await store.chain.append(agent, "w", {"n": 0}, key="k0")).seq == 1
    assert (await store.chain.append(agent, "w", {"n": 30})).seq == 31
    assert (await store.chain.verify()).ok

    back = tmp_path / "back"
    back.mkdir()
    again = open_store(back)
    await move(store.archive, again.archive)
    await compare(store.archive, again.archive)
    assert (await again.chain.verify()).ok
    assert (await again.items.get(leased.id)).state == "done"
    for one in (files, store, again):
        one.close()
