"""Every bug planted in the stores over SQLite, PostgreSQL and Redis is caught by a check that passes without it."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import test_postgres_store
import test_postgres_troubles
import test_redis
import test_sqlite_store
from cutting_proxy import CuttingProxy
from planted_bugs import Set
from planted_engine_bugs import ENGINE_BUGS, without
from postgres_server import PostgresServer, run_sql
from redis_server import RedisServer

from argosy_core.storage.base import NewItem
from argosy_core.storage.postgres.address import parse_address
from argosy_core.storage.postgres.store import PostgresStore
from argosy_core.storage.postgres.troubles import driver
from argosy_core.testing.conformance import bell, chain, items, leases

pytestmark = pytest.mark.anyio
PATIENCE_MS = 2000
HEAR_SECONDS = 2.0
APPENDS = 20


@dataclass
class Engines:
    """What a check may use."""

    root: Path
    postgres: PostgresServer
    redis: RedisServer


Check = Callable[[Engines], Awaitable[None]]


def over_sqlite(check: Callable[[Any], Awaitable[None]], part: str) -> Check:
    return lambda engines: check(test_sqlite_store.Opened(engines.root, part))


def over_postgres(check: Callable[[Any], Awaitable[None]], part: str) -> Check:
    return lambda engines: check(test_postgres_store.Opened(engines.postgres.url(), engines.root, part))


def over_redis(check: Callable[[Any], Awaitable[None]]) -> Check:
    return lambda engines: check(test_redis.Opened(engines.root, engines.redis.url(), "leases"))


def opened(engines: Engines, url: str) -> PostgresStore:
    return test_postgres_troubles.opened(url, engines.root)


async def a_claim_passes_over_what_another_is_taking(engines: Engines) -> None:
    """While somebody's claim of the first item is not committed yet, the next claim gets the second, at once."""
    url = engines.postgres.url()
    store = opened(engines, url)
    for number in range(2):
        await store.items.enqueue(NewItem("q", {"n": number}))
    address = parse_address(url)
    other = await driver().connect(address.dsn, server_settings={"search_path": address.schema})
    try:
        await other.execute(f"SET idle_in_transaction_session_timeout = {PATIENCE_MS}")  # ends what waits for it
        await other.execute("BEGIN")
        await other.execute("SELECT 1 FROM items WHERE seq = (SELECT min(seq) FROM items) FOR UPDATE")
        [item] = await store.items.claim("q", "w", 30)
        assert item.payload == {"n": 1}
    finally:
        await other.close()
        store.close()


async def every_acknowledgement_is_in_the_servers_log(engines: Engines) -> None:
    """An append comes back when the server has written its commit out, and not before."""
    url = engines.postgres.url()
    store = opened(engines, url)
    await store.documents.write("harbor/model.md", b"# MODEL")
    written: list[int] = []
    for number in range(APPENDS):
        await store.chain.append("harbor", "w", {"n": number})
        [row] = await run_sql(parse_address(url), "SELECT pg_current_wal_flush_lsn() - '0/0' AS bytes")
        written.append(int(row["bytes"]))
    store.close()
    assert len(set(written)) == APPENDS


async def nothing_is_done_twice_when_an_answer_is_lost(engines: Engines) -> None:
    with tempfile.TemporaryDirectory(prefix="argosy-cut-", dir="/tmp") as folder:
        proxy = CuttingProxy(Path(folder), engines.postgres.socket_folder)
        try:
            step = test_postgres_troubles.append
            await test_postgres_troubles.lose_answers(
                step, proxy, engines.postgres, engines.root, range(test_postgres_troubles.MOST_ANSWERS)
            )
        finally:
            proxy.close()


async def a_change_through_another_handle_is_heard(engines: Engines) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bell, "WAIT_SECONDS", HEAR_SECONDS)
        await over_postgres(bell.check_another_handles_change_is_heard, "bell")(engines)


async def generations_grow(engines: Engines) -> None:
    await test_redis.test_generations_grow_also_when_redis_lost_everything(engines.redis, engines.root)


KILLERS: dict[str, Check] = {
    "sqlite begins without the lock": over_sqlite(chain.check_handles_that_append_at_once_lose_nothing, "chain"),
    "sqlite accepts an older token": over_sqlite(items.check_an_older_token_wins_nothing, "items"),
    "sqlite forgets a key": over_sqlite(chain.check_a_key_appends_once, "chain"),
    "postgres claims without the rows lock": a_claim_passes_over_what_another_is_taking,
    "postgres waits for who claims": a_claim_passes_over_what_another_is_taking,
    "postgres completes without comparing": over_postgres(items.check_an_older_token_wins_nothing, "items"),
    "postgres acknowledges before the commit is written": every_acknowledgement_is_in_the_servers_log,
    "postgres notifies nobody": a_change_through_another_handle_is_heard,
    "postgres repeats what may have happened": nothing_is_done_twice_when_an_answer_is_lost,
    "redis releases anybodys lease": over_redis(leases.check_releasing_frees_at_once),
    "redis begins generations anew": generations_grow,
    "redis renews what ended": over_redis(leases.check_what_ended_is_not_renewed),
}


@pytest.fixture
def engines(postgres: PostgresServer, redis: RedisServer, tmp_path: Path) -> Engines:
    return Engines(tmp_path, postgres, redis)


async def catches(check: Check, engines: Engines) -> bool:
    try:
        await check(engines)
    except (AttributeError, NameError, TypeError):  # the plant does not fit the code any more
        raise
    except Exception:  # any failure is a catch: a bug may break a call before its result is looked at
        return True
    return False


@pytest.mark.parametrize("bug", ENGINE_BUGS)
async def test_a_bug_planted_in_an_engines_store_is_caught(
    bug: str, engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    put: Set = monkeypatch.setattr
    ENGINE_BUGS[bug](put)
    assert await catches(KILLERS[bug], engines), f"nobody noticed: {bug}"


@pytest.mark.parametrize(
    "check",
    [
        a_claim_passes_over_what_another_is_taking,
        every_acknowledgement_is_in_the_servers_log,
        nothing_is_done_twice_when_an_answer_is_lost,
    ],
)
async def test_a_check_that_is_only_here_does_not_accuse_the_code_as_it_is(check: Check, engines: Engines) -> None:
    await check(engines)


def test_every_bug_of_an_engine_has_a_check_that_must_catch_it() -> None:
    assert set(KILLERS) == set(ENGINE_BUGS)


def test_a_plant_that_fits_no_more_says_so() -> None:
    with pytest.raises(AttributeError, match="does not fit"):
        without("SELECT 1", "FOR UPDATE")
