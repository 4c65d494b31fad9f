"""A client that asked to hear of a resource hears of every edit: by another server, another process, a person."""

from __future__ import annotations

import gc
import json
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from children import environment
from mcp.server.connection import Connection
from served import Bench
from subscribers import client_of, subscribed, watching
from tiny_server import create

from argosy_core.clock import SystemClock
from argosy_host.gateway import build_gateway
from argosy_journal.server import create as create_journal
from argosy_log.server import create as create_log

pytestmark = [
    pytest.mark.anyio,
    # The client warns against the older era's way, which is what is tested.
    pytest.mark.filterwarnings("ignore:resources/:mcp.shared.exceptions.MCPDeprecationWarning"),
]
URI = "tiny://note/a"
Hear = Callable[[], Any]
APPEND = """
import sys, anyio
from argosy_core.serving.config import open_store
store = open_store(sys.argv[1])
anyio.run(store.chain.append, "harbor", "w", {"kind": "note"})
store.close()
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, SystemClock())


ERAS = pytest.mark.parametrize("era", ["2026-07-28", "legacy"])


@ERAS
async def test_an_edit_through_another_server_of_the_store_is_heard(bench: Bench, era: str) -> None:
    config = bench.config()
    async with subscribed(create(config), era, URI) as (_, heard), client_of(create(config)) as other:
        await other.call_tool("tiny_write", {"name": "a", "text": "x"})
        await heard.until(1)
        await other.call_tool("tiny_write", {"name": "b", "text": "x"})
        await other.call_tool("tiny_write", {"name": "a", "text": "y"})
        await heard.until(2)
    assert set(heard.uris) == {URI}


@ERAS
async def test_an_edit_through_another_store_is_heard(bench: Bench, era: str) -> None:
    config = bench.config()
    async with subscribed(create(config), era, URI) as (client, heard), client_of(create(bench.config())) as other:
        await watching(config.store.bell)
        await other.call_tool("tiny_write", {"name": "a", "text": "x"})
        await heard.until(1)
        assert (await client.call_tool("tiny_read", {"name": "a"})).content[0].text == "x"
    assert set(heard.uris) == {URI}


@ERAS
async def test_a_persons_edit_is_heard(bench: Bench, era: str) -> None:
    bench.write("harbor/tiny/a.md", "one")
    config = bench.config()
    async with subscribed(create(config), era, URI) as (client, heard):
        await watching(config.store.bell)
        (bench.root / "harbor/tiny/.a.md.swp").write_text("two")
        (bench.root / "harbor/tiny/.a.md.swp").replace(bench.root / "harbor/tiny/a.md")
        await heard.until(1)
        assert (await client.read_resource(URI)).contents[0].text == "two"
    assert set(heard.uris) == {URI}


@ERAS
async def test_the_journal_tells_of_a_new_entry_and_of_the_first_of_a_month(bench: Bench, era: str) -> None:
    config = bench.config()
    uri = f"journal://{config.clock.now():%Y-%m-%d}"
    async with subscribed(create_journal(config), era, uri) as (_, heard):
        await watching(config.store.bell)
        async with client_of(create_journal(bench.config())) as other:
            result = await other.call_tool("journal_append", {"text": "Lit the lamp."})
            assert not result.is_error
        await heard.until(1)  # a file in two new folders: none of them was watched when it was made
    assert set(heard.uris) == {uri}


@ERAS
async def test_the_doorbell_of_a_stream_rings_for_appends_of_another_process(bench: Bench, era: str) -> None:
    config = bench.config()
    uri = "log://harbor/head"
    async with subscribed(create_log(config), era, uri) as (client, heard):
        await watching(config.store.bell)
        await anyio.run_process([sys.executable, "-c", APPEND, str(bench.root)], env=environment())
        await heard.until(1)
        heads = json.loads((await client.read_resource(uri)).contents[0].text)["items"]
        assert [(head["writer"], head["seq"]) for head in heads] == [("w", 1)]
    assert set(heard.uris) == {uri}


@ERAS
async def test_a_gateway_passes_on_what_each_of_its_servers_tells(bench: Bench, era: str) -> None:
    config = bench.config()
    gateway = build_gateway(["memory", "journal"], config).server
    day, note = f"journal://{config.clock.now():%Y-%m-%d}", "memory://note/reference_lamp"
    async with subscribed(gateway, era, note, day) as (client, heard):
        await client.call_tool("memory_write", {"type": "reference", "title": "Lamp", "body": "It burns oil."})
        await client.call_tool("journal_append", {"text": "Lit the lamp."})
        await heard.until(2)
    assert {note, day} <= set(heard.uris)


@ERAS
async def test_only_what_was_asked_for_is_told(bench: Bench, era: str) -> None:
    config = bench.config()
    server = create(config)
    async with subscribed(server, era, URI) as (_, heard), subscribed(server, era, "tiny://note/b") as (_, other):
        async with client_of(server) as client:
            for name in ("a", "c", "b"):
                await client.call_tool("tiny_write", {"name": name, "text": "x"})
        await heard.until(1)
        await other.until(1)
    assert heard.uris == [URI]
    assert other.uris == ["tiny://note/b"]


async def test_who_unsubscribed_hears_nothing_and_who_subscribed_twice_hears_once(bench: Bench) -> None:
    config = bench.config()
    async with subscribed(create(config), "legacy", URI, URI, "tiny://note/b") as (client, heard):
        await client.call_tool("tiny_write", {"name": "a", "text": "x"})
        await client.call_tool("tiny_write", {"name": "b", "text": "x"})
        await heard.until(2)
        assert heard.uris == [URI, "tiny://note/b"]
        await client.session.unsubscribe_resource(URI)
        await client.session.unsubscribe_resource("tiny://note/never")
        await client.call_tool("tiny_write", {"name": "a", "text": "y"})
        await client.call_tool("tiny_write", {"name": "b", "text": "y"})
        await heard.until(3)
    assert heard.uris == [URI, "tiny://note/b", "tiny://note/b"]


@ERAS
async def test_nothing_is_kept_of_a_client_that_went(bench: Bench, era: str) -> None:
    config = bench.config()
    server = create(config)
    before = len(server.bus._listeners)  # type: ignore[attr-defined]
    async with client_of(server) as stays:
        for _ in range(3):
            async with subscribed(server, era, URI):
                pass
        await stays.call_tool("tiny_write", {"name": "a", "text": "x"})
        assert len(server.bus._listeners) == before  # type: ignore[attr-defined]
        gc.collect()
        connections = [weakref.ref(found) for found in gc.get_objects() if isinstance(found, Connection)]
        assert len(connections) <= 1


async def test_a_client_has_only_so_many_subscriptions(bench: Bench) -> None:
    from mcp import MCPError

    async with subscribed(create(bench.config()), "legacy", *(f"tiny://note/{n}" for n in range(1000))) as (client, _):
        await client.session.subscribe_resource("tiny://note/0")
        with pytest.raises(MCPError, match="at most 1000"):
            await client.session.subscribe_resource(URI)
        assert not (await client.call_tool("tiny_who", {})).is_error
