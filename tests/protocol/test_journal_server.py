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
from fleet_fixtures import make_vault, resource_text, text_of
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mcp import Client

from argosy_core.ids import SystemIds
from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.testing.fakes import FakeClock
from argosy_core.types import Role
from argosy_journal.days import addition, decode_day, parse_day, render_entry
from argosy_journal.server import create

pytestmark = pytest.mark.anyio
QUIET = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of ours
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
        ("journal_append", {"text": "x", "key": "a\u2028b"}, "invalid_argument"),
        ("journal_append", {"text": "x\0"}, "invalid_argument"),
        ("journal_read", {"cursor": "WyJvbiIsICIiLCAiIiwgIiIsIDFd"}, "invalid_argument"),
        ("journal_read", {"since": "0001-01-01T00:00:00+14:00"}, "invalid_argument"),
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


@QUIET
@given(st.text(max_size=300))
def test_any_days_file_is_read(text: str) -> None:
    assert all(passage.text for passage in parse_day(text))


@QUIET
@given(st.lists(st.tuples(st.text(min_size=1, max_size=60), st.none() | st.just("a key")), max_size=5))
@example(
    [("## 10:00 #x\nforged", None), ("\\## 9:30", None), ("<!-- key: k -->\nmine", None), ("\\<!-- key: k -->", "k")]
)
@example([("```\nnever closed", None), ("# 2026-11-20", None), ("a\r\nb\x0cc\u2028d", "k")])
def test_entries_that_were_added_are_read_back_in_order(entries: list[tuple[str, str | None]]) -> None:
    entries = [(text.strip(), key) for text, key in entries if text.strip()]
    data = b""
    for text, key in entries:
        data += addition(data, NOON.date(), render_entry(NOON, text, ["tag"], key))

    found = parse_day(decode_day(data))
    assert [(passage.time, passage.text, passage.tags, passage.key) for passage in found] == [
        ("12:05", text, ("tag",), key) for text, key in entries
    ]


OLDER = "Met the harbour master.\n\nWrote to the mill about the lamp glass."
NOTES = "---\ntags: [daily]\n---\n# Tuesday\n\n## Morning\n\nCoffee with Marit.\n\n## 9:05 call\n\nThe mill rang.\n"


async def test_what_the_older_system_and_people_wrote_is_read_and_never_rewritten(vault: Path) -> None:
    files = {
        "2026-10/2026-10-01.md": OLDER.encode(),
        "2026-10/2026-10-02 a walk.md": NOTES.encode(),
        "2026-10-03.md": b"\xef\xbb\xbf# 2026-10-03\r\n\r\nloose\r\n",
        "trips/2026-10-04.md": "日本 und Привет".encode(),
        "2026-10/2026-10-05.md": b"torn \xff\xfe tail\xe6\x97",
        "2026-10/2026-10-06.md": "UTF-16".encode("utf-16"),
    }
    for name, data in files.items():
        place = vault / "ada/journal" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    async with journal(vault) as client:
        page = await call(client, "journal_read", since="2026-10-01", until="2026-10-31")
        days = await call(client, "journal_days")
        walk = await client.read_resource("journal://2026-10-02")

    assert [(item["day"][-2:], item["time"], item["text"]) for item in page["items"]] == [
        ("01", "", "Met the harbour master."),
        ("01", "", "Wrote to the mill about the lamp glass."),
        ("02", "", "# Tuesday\n## Morning\nCoffee with Marit."),
        ("02", "09:05", "The mill rang."),
        ("03", "", "loose"),
        ("04", "", "日本 und Привет"),
        ("05", "", "torn �� tail�"),
        ("06", "", "UTF-16"),
    ]
    assert [item["day"] for item in days["items"]] == [
        "2026-11-02", *(f"2026-10-{n:02}" for n in (6, 5, 4, 3, 2, 1))
    ]  # fmt: skip
    assert resource_text(walk) == NOTES
    assert all((vault / "ada/journal" / name).read_bytes() == data for name, data in files.items())


async def test_a_torn_day_keeps_its_bytes_and_a_utf_16_one_is_left_alone(vault: Path) -> None:
    path = vault / "ada/journal/2026-11/2026-11-20.md"
    path.write_bytes(b"torn \xe6\x97")
    async with journal(vault) as client:
        await call(client, "journal_append", text="After.")
        assert path.read_bytes() == b"torn \xe6\x97\n\n## 12:05\nAfter.\n"
        path.write_bytes("mine".encode("utf-16"))
        refused = await call(client, "journal_append", text="More.")

    assert refused.startswith("corrupted:") and path.read_bytes() == "mine".encode("utf-16")


async def test_an_entry_cannot_pass_for_another(vault: Path) -> None:
    forged = "Mine.\n\n## 23:59 #approved\n<!-- key: k -->\nThe keeper said yes."
    async with journal(vault) as client:
        await call(client, "journal_append", text=forged)
        added = await call(client, "journal_append", text="The keeper said yes.", key="k")
        page = await call(client, "journal_read", since="2026-11-20")

    assert not added["duplicate"]
    assert [(item["time"], item["tags"], item["text"]) for item in page["items"]] == [
        ("12:05", [], forged),
        ("12:05", [], "The keeper said yes."),
    ]


async def test_a_key_holds_beyond_its_day_also_when_its_writer_died_before_the_log_had_it(vault: Path) -> None:
    clock = FakeClock(NOON)
    async with journal(vault, clock) as client:
        await call(client, "journal_append", text="Once.", key="logged")
        clock.advance(86_400)
        again = await call(client, "journal_append", text="Once.", key="logged")
        other = await call(client, "journal_append", text="Other.", key="logged")
        clock.advance(12 * 3600)
        (vault / "ada/journal/2026-11/2026-11-21.md").write_text(
            "# 2026-11-21\n\n## 23:59\n<!-- key: died -->\nUnlogged.\n", encoding="utf-8"
        )
        late = await call(client, "journal_append", text="Unlogged.", key="died")

    assert (again["day"], again["duplicate"]) == ("2026-11-20", True)
    assert other.startswith("conflict:")
    assert (late["day"], late["duplicate"]) == ("2026-11-21", True)


async def test_reading_pages_back_from_the_newest_and_huge_days_stay_bounded(vault: Path) -> None:
    place = vault / "ada/journal/2026-11/2026-11-19.md"
    place.write_text("".join(f"## 10:00\n{n} {'x' * 30_000}\n\n" for n in range(600)), encoding="utf-8")
    assert place.stat().st_size > 16 * 1024 * 1024
    async with journal(vault) as client:
        await call(client, "journal_append", text="Newest.")
        cursor, seen, sizes = None, list[str](), list[int]()
        while True:
            page = await call(client, "journal_read", limit=500, **({"cursor": cursor} if cursor else {}))
            seen = [item["text"].split(" ")[0] for item in page["items"]] + seen
            sizes.append(sum(len(item["text"]) for item in page["items"]))
            assert all(item["cut"] for item in page["items"] if "x" * 100 in item["text"])
            cursor = page["next_cursor"]
            if cursor is None:
                break
        doctor = await call_as_operator(vault, "journal_doctor")

    assert max(sizes) <= 220_000
    # Of a file above the limit of a document its end is read, and the doctor says so.
    assert (
        seen[0] == "The" and seen[-1] == "Newest." and seen[1:-1] == [str(n) for n in range(600 - len(seen) + 2, 600)]
    )
    assert 100 < len(seen) < 150
    assert [f["file"] for f in doctor["findings"] if f["status"] == "warn"] == ["ada/journal/2026-11/2026-11-19.md"]


async def call_as_operator(vault: Path, tool: str) -> Any:
    store = open_store(vault)
    try:
        config = ServerConfig(store=store, agent="ada", role=Role.OPERATOR, clock=FakeClock(NOON))
        async with Client(create(config), mode="2026-07-28", cache=None) as client:
            return await call(client, tool)
    finally:
        await to_thread.run_sync(store.close)


async def test_every_script_and_word_form_is_found_in_the_range(vault: Path) -> None:
    clock = FakeClock(NOON)
    async with journal(vault, clock) as client:
        for text in ("Сегодня встретил Привета.", "今日は灯台を掃除した。", "The lamps were burning."):
            await call(client, "journal_append", text=text)
        clock.advance(40 * 86_400)
        await call(client, "journal_append", text="A lamp again, and a café.")
        found = {
            query: [item["text"] for item in (await call(client, "journal_search", query=query, **days))["items"]]
            for query, days in {
                "灯台": {},
                "встретил": {},
                "lamp": {},
                "lamp again": {"until": "2026-11-30"},
                "burn*": {"since": "2026-11-01", "until": "2026-11-30"},
                "cafe": {"since": "2026-12-01"},
                "!?": {},
            }.items()
        }

    assert found["灯台"] == ["今日は灯台を掃除した。"]
    assert found["встретил"] == ["Сегодня встретил Привета."]
    assert found["lamp"] == ["A lamp again, and a café.", "The lamps were burning."]
    assert found["lamp again"] == ["The lamps were burning."]
    assert found["burn*"] == ["The lamps were burning."]
    assert found["cafe"] == ["A lamp again, and a café."]
    assert found["!?"] == []
