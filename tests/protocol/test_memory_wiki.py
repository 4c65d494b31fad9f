"""The wiki and its sources through memory's tools."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleet_fixtures import make_vault, resource_text, text_of
from memory_client import call, error, memory

pytestmark = pytest.mark.anyio


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "vault")


async def test_a_page_is_written_with_its_sources_found_and_replaced_by_version(vault: Path) -> None:
    async with memory(vault) as client:
        raw = await call(client, "raw_add", name="letters/fresnel.txt", content="A lens of rings, thin and light.")
        page = await call(
            client, "wiki_write", page="lenses", body="# Lenses\n\nRings make a lens thin.",
            sources=["raw/letters/fresnel.txt"],
        )  # fmt: skip
        again = await call(client, "wiki_write", page="lenses.md", body="# Lenses\n\nRings make a lens thin.")
        refused = await error(client, "wiki_write", page="lenses", body="Other.")
        replaced = await call(client, "wiki_write", page="lenses", body="Other.", expect_version=page["version"])
        stale = await error(client, "wiki_write", page="lenses", body="Third.", expect_version=page["version"])
        hits = (await call(client, "memory_search", query="rings", scope="all"))["hits"]
        history = await call(client, "memory_history", name="wiki/lenses")
        back = await call(client, "memory_restore", name="wiki/lenses", version=page["version"])
        source = await client.read_resource(raw["uri"])
        read = await call(client, "memory_read", name=raw["uri"])

    assert page["title"] == "Lenses" and page["sources"] == ["raw/letters/fresnel.txt"] and again["duplicate"]
    assert list(page["frontmatter"])[:4] == ["schema_version", "name", "description", "type"]
    assert page["frontmatter"]["type"] == "wiki_page" and page["frontmatter"]["provenance"] == "distilled"
    assert refused.startswith("already_exists:") and page["version"] in refused and stale.startswith("conflict:")
    assert replaced["body"].strip() == "Other." and replaced["sources"] == page["sources"]
    assert [(hit["scope"], hit["uri"]) for hit in hits] == [("raw", "raw://letters/fresnel.txt")]
    assert len(history["items"]) == 2 and back["version"] == page["version"]
    assert resource_text(source) == "A lens of rings, thin and light." == read["body"]


async def test_links_are_resolved_both_ways_and_what_finds_nothing_is_listed(vault: Path) -> None:
    async with memory(vault) as client:
        await call(client, "wiki_write", page="optics/Lens", body="Glass.")
        await call(client, "wiki_write", page="lamp", body="See [[lens]], [[decision_lamp_oil|oil]] and [[Nowhere#x]].")
        await call(client, "memory_write", type="user", title="Fan", body="Loves [[optics/lens]] but `[[not this]]`.")
        lens = await call(client, "wiki_read", page="optics/Lens")
        lamp = await call(client, "wiki_read", page="wiki://lamp")
        lint = (await call(client, "memory_lint"))["items"]
        nested = await client.read_resource("wiki://optics/Lens")
        text = text_of(await client.call_tool("wiki_read", {"page": "lamp"}))

    assert [link["name"] for link in lens["backlinks"]] == ["user_fan", "lamp"] or {
        link["name"] for link in lens["backlinks"]
    } == {"user_fan", "lamp"}
    assert {link["uri"] for link in lamp["links"]} == {"wiki://optics/Lens", "memory://note/decision_lamp_oil"}
    assert lamp["unresolved"] == ["Nowhere"] and "Links to nothing: Nowhere" in text
    assert [item["names"] for item in lint if item["kind"] == "dangling_link"] == [["wiki/lamp"]]
    assert "Glass." in resource_text(nested)


async def test_a_page_of_the_same_name_in_other_letters_is_not_made_beside_it(vault: Path) -> None:
    async with memory(vault) as client:
        await call(client, "wiki_write", page="Straße", body="A street.")
        refused = [await error(client, "wiki_write", page=name, body="Other.") for name in ("straße", "STRASSE")]

    assert all(each.startswith("already_exists:") and "Straße" in each for each in refused)


async def test_a_source_is_kept_once_and_never_changed(vault: Path) -> None:
    async with memory(vault) as client:
        first = await call(client, "raw_add", name="log", content="Fog.")
        again = await call(client, "raw_add", name="log", content="Fog.")
        other = await error(client, "raw_add", name="log", content="Sun.")
        empty = await error(client, "raw_add", name="none", content="")
        large = await error(client, "raw_add", name="large", content="x" * (4 * 2**20 + 1))

    assert first["path"] == "ada/raw/log.md" and not first["duplicate"] and again["duplicate"]
    assert other.startswith("already_exists:") and (vault / "ada/raw/log.md").read_text("utf-8") == "Fog."
    assert empty.startswith("invalid_argument:") and large.startswith("too_large:")


BAD_NAMES = (
    *("../x", "/etc/passwd", "a/../b", "con", "a:b", "a\x00b", ".hidden", "x" * 201, "a//b", "", "a/b/c/d/e/f/g"),
    *("nul.txt", "a\u202eb", "x/", "a\\b"),
)


async def test_no_name_that_some_system_cannot_hold_is_made(vault: Path) -> None:
    async with memory(vault) as client:
        for name in BAD_NAMES:
            page = await error(client, "wiki_write", page=name, body="x")
            source = await error(client, "raw_add", name=name, content="x")
            assert page.startswith("invalid_argument:") and source.startswith("invalid_argument:"), name

    assert not (vault / "ada/wiki").exists() and not (vault / "ada/raw").exists()


async def test_the_wikis_own_list_is_no_page(vault: Path) -> None:
    async with memory(vault) as client:
        assert (await error(client, "wiki_write", page="INDEX", body="x")).startswith("invalid_argument:")
