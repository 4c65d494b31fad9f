"""Notes that somebody else edits while the server runs: whoever asked hears of it, and search and reading follow."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from children import environment
from few_watches import few_watches
from fleet_fixtures import FILES, make_vault
from memory_client import call, memory
from subscribers import Heard, subscribed, watching

from argosy_core.index.filling import RECHECK_SECONDS
from argosy_core.serving.config import ServerConfig
from argosy_core.storage.opening import open_store
from argosy_core.testing.fakes import FakeClock
from argosy_core.types import Role
from argosy_host.compose import load_server

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:resources/:mcp.shared.exceptions.MCPDeprecationWarning"),
]
NOTE_URI, PAGE_URI = "memory://note/user_keeper", "wiki://lens"
KEEPER = "ada/memory/user_keeper.md"
EDIT = """
import sys, anyio
from argosy_core.storage.opening import open_store

async def edit(store):
    note = await store.documents.read(sys.argv[3])
    await store.documents.write(sys.argv[3], note.data + b"\\nA puffin nests.\\n", expect=note.version)

store = open_store(sys.argv[1], sys.argv[2])
anyio.run(edit, store)
store.close()
"""


@asynccontextmanager
async def listening(vault: Path, era: str, address: str | None = None) -> AsyncGenerator[tuple[Any, Heard]]:
    store = open_store(vault, address)
    try:
        server = load_server("memory", ServerConfig(store, "ada"))
        async with subscribed(server, era, NOTE_URI, PAGE_URI) as (client, heard):
            await watching(store.bell)
            yield client, heard
    finally:
        await to_thread.run_sync(store.close)


async def found(client: Any, query: str) -> list[str]:
    result = await client.call_tool("memory_search", {"query": query})
    return [hit["name"] for hit in result.structured_content["hits"]]


async def puffin_told(client: Any, heard: Heard) -> None:
    """Wait until the edit was told, is read, and is found."""
    await heard.until(1)
    assert "puffin" in (await client.read_resource(NOTE_URI)).contents[0].text
    with anyio.fail_after(10):
        while await found(client, "puffin") != ["user_keeper"]:
            await anyio.sleep(0.02)


ERAS = pytest.mark.parametrize("era", ["2026-07-28", "legacy"])


@ERAS
@pytest.mark.parametrize("how", ["in place", "by rename", "appended"])
async def test_a_note_that_an_editor_saves_is_told_read_and_found(tmp_path: Path, era: str, how: str) -> None:
    file = make_vault(tmp_path / "vault") / KEEPER
    async with listening(tmp_path / "vault", era) as (client, heard):
        assert await found(client, "puffin") == []
        text = f"{file.read_text('utf-8')}\nA puffin nests.\n"
        if how == "in place":
            file.write_text(text, "utf-8")
        elif how == "by rename":
            (draft := file.with_name(".user_keeper.md.swp")).write_text(text, "utf-8")
            draft.replace(file)
        else:
            with file.open("a", encoding="utf-8") as opened:
                opened.write("\nA puffin nests.\n")
        await puffin_told(client, heard)
    assert set(heard.uris) == {NOTE_URI}


async def test_a_page_that_a_person_makes_renames_and_deletes_is_told_each_time(tmp_path: Path) -> None:
    vault = make_vault(tmp_path / "vault", {"ada/wiki/other.md": "Other.\n"})
    async with listening(vault, "2026-07-28") as (_, heard):
        (vault / "ada/wiki/lens.md").write_text("Rings.\n", "utf-8")
        await heard.until(1)
        (vault / "ada/wiki/lens.md").rename(vault / "ada/wiki/glass.md")
        await heard.until(2)
        (vault / "ada/wiki/glass.md").rename(vault / "ada/wiki/lens.md")
        await heard.until(3)
        (vault / "ada/wiki/lens.md").unlink()
        await heard.until(4)
    assert set(heard.uris) == {PAGE_URI}


@ERAS
async def test_a_note_in_a_database_that_another_process_writes_is_told_read_and_found(
    tmp_path: Path, era: str
) -> None:
    vault, address = tmp_path / "vault", "sqlite:///fleet.sqlite"
    store = open_store(vault, address, create=True)
    for path, text in FILES.items():
        await store.archive.write(path, text.encode())
    store.close()
    async with listening(vault, era, address) as (client, heard):
        assert await found(client, "puffin") == []
        await anyio.run_process([sys.executable, "-c", EDIT, str(vault), address, KEEPER], env=environment())
        await puffin_told(client, heard)
    assert set(heard.uris) == {NOTE_URI}


async def test_where_nothing_can_be_watched_an_edit_is_found_by_comparing_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_vault(tmp_path / "vault") / KEEPER
    for number in range(30):
        (file.parent / f"letters/{number}").mkdir(parents=True)
    few_watches(monkeypatch, 20)
    clock = FakeClock()
    async with memory(tmp_path / "vault", clock=clock, role=Role.OPERATOR) as client:
        assert await found(client, "puffin") == []
        with anyio.fail_after(10):
            while (fresh := await freshness(client)).get("not_watched") is None:
                await anyio.sleep(0.02)
        file.write_text(f"{file.read_text('utf-8')}\nA puffin nests.\n", "utf-8")
        clock.advance(RECHECK_SECONDS + 1)
        again = await found(client, "puffin")
        findings = (await call(client, "memory_doctor"))["findings"]

    assert not fresh["watching"] and "watch limit reached" in fresh["not_watched"]
    assert again == ["user_keeper"]
    [finding] = [each for each in findings if each["check"] == "watching"]
    assert finding["status"] == "warn" and "max_user_watches" in finding["fix"]


async def freshness(client: Any) -> dict[str, Any]:
    return (await call(client, "memory_search", query="lamp", explain=True))["explain"]["index"]
