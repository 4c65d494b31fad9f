"""The doorbell of a stream, when several server processes serve one vault: who listens at one hears what was appended
through another, by PostgreSQL's notices or a Redis, in both eras."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fleet_fixtures import FILES
from postgres_server import PostgresServer
from redis_server import RedisServer
from subscribers import Heard, subscribed
from transports import connected, http_server

from argosy_core.storage.opening import open_store

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(90),
    # The client warns against the older era's way, which is what is tested.
    pytest.mark.filterwarnings("ignore:resources/:mcp.shared.exceptions.MCPDeprecationWarning"),
]
HEAD = "log://ada/head"
# A bell that begins to listen rings once, for all that it may have missed. More rings than that are of appends.
RINGS = 4
STORES: dict[str, Callable[[PostgresServer], str]] = {
    "files": lambda _: "files",
    "sqlite": lambda _: "sqlite:///fleet.sqlite",
    "postgresql": lambda server: server.url(),
}


async def heard_from_another_process(vault: Path, store: str, *bell: str) -> None:
    """Two servers, a client of each era at one of them; all that is appended at the other is heard by both."""
    opened = open_store(vault, store, create=True)
    for path, text in FILES.items():
        await opened.archive.write(path, text.encode())
    opened.close()
    flags = ("--store", store, *bell, "--agent", "ada")
    async with (
        http_server(("log",), vault, *flags) as near,
        subscribed(near, "2026-07-28", HEAD) as (modern, modern_heard),
        subscribed(near, "legacy", HEAD) as (_, legacy_heard),
        connected("stdio", "2026-07-28", ("log",), vault, *flags, "--role", "operator") as far,
    ):
        for number in range(1, RINGS + 1):
            before = [len(heard.uris) for heard in (modern_heard, legacy_heard)]
            done = await far.call_tool("log_append", {"kind": "note.made", "body": {"n": number}})
            assert not done.is_error, done.content
            await all_more_than(before, modern_heard, legacy_heard)
            [head] = json.loads((await modern.read_resource(HEAD)).contents[0].text)["items"]
            assert head["seq"] == number
        assert {*modern_heard.uris, *legacy_heard.uris} == {HEAD}


async def all_more_than(before: list[int], *all_heard: Heard) -> None:
    for count, heard in zip(before, all_heard, strict=True):
        await heard.until(count + 1)


async def test_an_append_through_another_process_is_heard_by_the_databases_own_notices(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    await heard_from_another_process(tmp_path, postgres.url())


@pytest.mark.parametrize("store", STORES)
async def test_an_append_through_another_process_is_heard_through_a_redis(
    store: str, postgres: PostgresServer, redis: RedisServer, tmp_path: Path
) -> None:
    await heard_from_another_process(tmp_path, STORES[store](postgres), "--bell", redis.url())
