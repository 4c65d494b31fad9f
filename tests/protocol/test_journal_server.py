"""The journal through its tools: durable appends that writers share, days, ranges, search."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from fleet_fixtures import make_vault, text_of
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client

from argosy_core.ids import SystemIds
from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.testing.fakes import FakeClock
from argosy_journal.days import add_entry, parse_day, render_entry
from argosy_journal.server import create

pytestmark = pytest.mark.anyio
NOON = datetime(2026, 11, 20, 12, 5, tzinfo=UTC)


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "vault")


@asynccontextmanager
async def journal(vault: Path, clock: FakeClock | None = None) -> AsyncGenerator[Client]:
    store = open_store(vault)
    config = ServerConfig(store=store, agent="ada", clock=clock or FakeClock(NOON), ids=SystemIds())
    try:
        async with Client(create(config), mode="2026-07-28", cache=None) as client:
            yield client
    finally:
        await to_thread.run_sync(store.close)


async def call(client: Client, tool: str, /, **arguments: Any) -> Any:
    result = await client.call_tool(tool, arguments)
    if result.is_error:
        return text_of(result)
    return result.structured_content


async def test_an_entry_stands_under_its_time_in_todays_file(vault: Path) -> None:
    async with journal(vault) as client:
        added = await call(client, "journal_append", text="Oiled the clockwork.", tags=["lamp"])

    assert (added["day"], added["time"], added["uri"]) == ("2026-11-20", "12:05", "journal://2026-11-20")
    text = (vault / added["path"]).read_text(encoding="utf-8")
    assert text == "# 2026-11-20\n\n## 12:05 #lamp\nOiled the clockwork.\n"


async def test_what_a_person_wrote_that_day_stays_as_it_is(vault: Path) -> None:
    path = vault / "ada/journal/2026-11/2026-11-20.md"
    path.write_text("# 2026-11-20\n\nMy own words, no time", encoding="utf-8")
    async with journal(vault) as client:
        await call(client, "journal_append", text="Second.")
        page = await call(client, "journal_read", since="2026-11-20")

    assert path.read_text(encoding="utf-8").startswith("# 2026-11-20\n\nMy own words, no time\n\n## 12:05")
    assert [(i["time"], i["text"]) for i in page["items"]] == [("", "My own words, no time"), ("12:05", "Second.")]


async def test_a_key_adds_once_and_other_text_under_it_conflicts(vault: Path) -> None:
    async with journal(vault) as client:
        first = await call(client, "journal_append", text="Once.", key="k")
        again = await call(client, "journal_append", text="Once.", key="k")
        other = await call(client, "journal_append", text="Other.", key="k")
        page = await call(client, "journal_read", since="2026-11-20")

    assert not first["duplicate"] and again["duplicate"] and other.startswith("conflict:")
    assert [item["text"] for item in page["items"]] == ["Once."]


async def test_many_writers_share_a_day_and_lose_nothing(vault: Path) -> None:
    clock = FakeClock(NOON)
    async with journal(vault, clock) as one, journal(vault, clock) as two:
        async with anyio.create_task_group() as tasks:

            async def add(number: int) -> None:
                done = await call((one, two)[number % 2], "journal_append", text=f"Entry {number}.")
                assert isinstance(done, dict), done

            for number in range(10):
                tasks.start_soon(add, number)
        page = await call(one, "journal_read", since="2026-11-20")

    assert {item["text"] for item in page["items"]} == {f"Entry {n}." for n in range(10)}


async def test_ranges_pages_and_the_newest(vault: Path) -> None:
    clock = FakeClock(NOON)
    async with journal(vault, clock) as client:
        for number in range(4):
            await call(client, "journal_append", text=f"Day {number}.")
            clock.advance(86_400)
        newest = await call(client, "journal_read", limit=2)
        first = await call(client, "journal_read", since="2026-11-20", until="2026-11-22", limit=2)
        rest = await call(client, "journal_read", since="2026-11-20", until="2026-11-22", cursor=first["next_cursor"])

    assert [item["text"] for item in newest["items"]] == ["Day 2.", "Day 3."]
    assert [item["text"] for item in first["items"] + rest["items"]] == ["Day 0.", "Day 1.", "Day 2."]
    assert rest["next_cursor"] is None


async def test_search_ranks_by_words_then_by_newness(vault: Path) -> None:
    async with journal(vault) as client:
        for text in ("The bell rang twice.", "The fog came.", "Fog, and the bell rang."):
            await call(client, "journal_append", text=text)
        found = await call(client, "journal_search", query="FOG bell")
        phrase = await call(client, "journal_search", query='"bell rang twice"')

    assert [item["text"] for item in found["items"]][:2] == ["Fog, and the bell rang.", "The fog bell was repaired."]
    assert [item["text"] for item in phrase["items"]] == ["The bell rang twice."]


@pytest.mark.parametrize(
    ("tool", "arguments", "code"),
    [
        ("journal_append", {"text": " "}, "invalid_argument"),
        ("journal_append", {"text": "x" * 20_001}, "too_large"),
        ("journal_append", {"text": "x", "tags": ["a b"]}, "invalid_argument"),
        ("journal_append", {"text": "x", "key": "a-->b"}, "invalid_argument"),
        ("journal_read", {"since": "soon"}, "invalid_argument"),
        ("journal_read", {"since": "2026-11-20", "until": "2026-11-01"}, "invalid_argument"),
        ("journal_read", {"since": "2026-11-01", "cursor": "x"}, "invalid_argument"),
        ("journal_read", {"since": "2026-11-01", "cursor": "WyJhIl0"}, "invalid_argument"),
        ("journal_search", {}, "invalid_argument"),
    ],
)
async def test_bad_input_is_named(vault: Path, tool: str, arguments: dict[str, Any], code: str) -> None:
    async with journal(vault) as client:
        assert (await call(client, tool, **arguments)).startswith(f"{code}:")


@given(st.text(max_size=300))
def test_any_days_file_is_read(text: str) -> None:
    assert all(passage.text for passage in parse_day(text))


@given(
    st.lists(st.text(st.characters(codec="ascii", categories=["L", "N", "Zs"]), min_size=1, max_size=30), max_size=5)
)
def test_entries_that_were_added_are_read_back_in_order(texts: list[str]) -> None:
    texts = [text.strip() for text in texts if text.strip()]
    content = ""
    for text in texts:
        content = add_entry(content, NOON.date(), render_entry(NOON, text, [], None))

    assert [passage.text for passage in parse_day(content)] == texts
