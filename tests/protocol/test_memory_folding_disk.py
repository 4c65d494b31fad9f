"""A vault on a disk that folds case: no note or page is lost to another whose name differs in its letters alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread
from fleet_fixtures import NOTE, make_vault, text_of
from folding import FoldingFileSystem
from mcp import Client

from argosy_core.clock import SystemClock
from argosy_core.ids import SystemIds
from argosy_core.serving.config import ServerConfig
from argosy_core.storage.files.store import FileStore
from argosy_core.vault import Vault
from argosy_host.compose import load_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    hers = NOTE.format(title="Bell Rope, hers", type="decision", body="Written by a person.")
    return make_vault(tmp_path / "vault", {"ada/memory/Decision_Bell_Rope.md": hers, "ada/wiki/Lens.md": "Rings.\n"})


@asynccontextmanager
async def memory(vault: Path) -> AsyncGenerator[Client]:
    store = FileStore(Vault(vault, fs=FoldingFileSystem()), SystemClock(), SystemIds())
    config = ServerConfig(store, "ada", profile="full")
    try:
        async with Client(load_server("memory", config), mode="2026-07-28", cache=None) as client:
            yield client
    finally:
        await to_thread.run_sync(store.close)


async def call(client: Client, tool: str, /, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    assert result.structured_content is not None
    return result.structured_content


async def test_a_note_does_not_take_the_place_of_one_in_other_letters(vault: Path) -> None:
    async with memory(vault) as client:
        made = await call(client, "memory_write", type="decision", title="Bell rope", body="Written by an agent.")
        again = await call(client, "memory_write", type="decision", title="Bell rope", body="Written by an agent.")

    assert made["name"] == again["name"] == "decision_bell_rope_2" and again["duplicate"]
    assert "Written by a person." in (vault / "ada/memory/Decision_Bell_Rope.md").read_text("utf-8")


async def test_a_page_in_other_letters_is_the_one_that_is_there(vault: Path) -> None:
    async with memory(vault) as client:
        read = await call(client, "wiki_read", page="LENS")
        refused = await client.call_tool("wiki_write", {"page": "lens", "body": "Glass."})
        done = await call(client, "wiki_write", page="lens", body="Glass.", expect_version=read["version"])
        hits = (await call(client, "memory_search", query="glass", scope="wiki"))["hits"]
        old = (await call(client, "memory_search", query="rings", scope="wiki"))["hits"]
        history = await call(client, "memory_history", name="wiki/Lens")

    assert refused.is_error and text_of(refused).startswith("already_exists:")
    assert [path.name for path in (vault / "ada/wiki").glob("*.md")] == ["Lens.md"]
    assert done["body"].strip() == "Glass." and len(hits) == 1 and old == []
    assert len(history["items"]) == 2


async def test_a_note_named_in_other_letters_is_changed_and_found_once(vault: Path) -> None:
    async with memory(vault) as client:
        await call(client, "memory_search", query="person")
        await call(
            client, "memory_write", type="decision", title="x", body="A puffin.", merge_into="decision_bell_rope"
        )
        hits = (await call(client, "memory_search", query="person"))["hits"]
        listed = (await call(client, "memory_list", types=["decision"]))["items"]

    text = (vault / "ada/memory/Decision_Bell_Rope.md").read_text("utf-8")
    assert "Written by a person." in text and "A puffin." in text
    assert len(hits) == 1 and [item["title"] for item in listed].count("Bell Rope, hers") == 1
