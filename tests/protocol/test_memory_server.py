"""Memory through its tools: the four cases of writing, search over bodies, recall, the index page, other writers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import anyio
import pytest
from fleet_fixtures import NOTE, make_vault, resource_text, text_of
from mcp import Client, MCPError
from memory_client import call, error, memory

from argosy_core.types import Role

pytestmark = pytest.mark.anyio
BELL = {"type": "decision", "title": "Bell rope", "body": "The bell rope is renewed every spring."}


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "vault")


async def test_a_new_note_has_the_older_systems_fields_and_is_found_by_its_body(vault: Path) -> None:
    async with memory(vault) as client:
        note = await call(client, "memory_write", **BELL, tags=["bell"], sources=["letter"])
        hits = (await call(client, "memory_search", query="renewed spring"))["hits"]

    assert note["name"] == "decision_bell_rope" and note["path"] == "ada/memory/decision_bell_rope.md"
    assert list(note["frontmatter"]) == [
        "schema_version", "name", "description", "type", "captured", "last_seen", "sources", "confidence", "pinned",
        "expires_at", "supersedes", "superseded_by", "tags", "provenance",
    ]  # fmt: skip
    assert note["frontmatter"]["provenance"] == "observed"
    assert [hit["name"] for hit in hits] == ["decision_bell_rope"] and "**spring**" in hits[0]["snippet"]


async def test_the_same_note_again_is_no_write(vault: Path) -> None:
    async with memory(vault) as client:
        first = await call(client, "memory_write", **BELL)
        again = await call(client, "memory_write", **BELL)

    assert again["duplicate"] and again["version"] == first["version"]
    assert not (vault / "ada/memory/.versions").exists()


async def test_another_text_under_the_same_title_needs_a_decision(vault: Path) -> None:
    async with memory(vault) as client:
        first = await call(client, "memory_write", **BELL)
        other = {**BELL, "body": "Every autumn instead."}
        refused = await error(client, "memory_write", **other)
        replaced = await call(client, "memory_write", **other, expect_version=first["version"])
        stale = await error(client, "memory_write", **{**BELL, "body": "No."}, expect_version=first["version"])
        old = await call(client, "memory_read", name="decision_bell_rope", version=first["version"])

    assert refused.startswith("already_exists:") and "merge_into" in refused and first["version"] in refused
    assert replaced["body"].strip() == "Every autumn instead."
    assert stale.startswith("conflict:")
    assert old["body"].strip() == BELL["body"]


async def test_the_text_of_an_answer_is_enough_to_weigh_a_note_and_to_replace_it(vault: Path) -> None:
    """Many clients show their model the text alone."""
    async with memory(vault) as client:
        await call(client, "memory_write", **BELL, sources=["a letter"], expires_at="2099-01-01", pinned=True)
        read = text_of(await client.call_tool("memory_read", {"name": "decision_bell_rope"}))
        version = read.partition("version ")[2][:8]
        for wrong in ("0" * 8, version[:7]):
            other = {**BELL, "body": "No."}
            assert (await error(client, "memory_write", **other, expect_version=wrong)).startswith("conflict:")
        done = await client.call_tool("memory_write", {**BELL, "body": "In autumn.", "expect_version": version})
        page = await call(client, "wiki_write", page="ropes", body="Hemp rope rots.")
        short = page["version"][:8]
        again = await call(client, "wiki_write", page="ropes", body="Hemp rope rots fast.", expect_version=short)
        stale = await error(client, "wiki_write", page="ropes", body="No.", expect_version=short)
        found = text_of(await client.call_tool("memory_search", {"query": "hemp", "scope": "all"}))
        handle = found.partition("[")[2].partition("]")[0]
        there = await call(client, "memory_read", name=handle)

    head = read.split("\n")[1]
    assert head.startswith("(decision, observed, medium, captured 20") and "from a letter" in head
    assert "expires 2099-01-01" in head and "pinned" in head
    assert done.structured_content is not None and done.structured_content["body"].strip() == "In autumn."
    assert f"version {done.structured_content['version'][:8]}" in text_of(done)
    assert handle == "wiki/ropes" and there["body"] == again["body"] and stale.startswith("conflict:")


async def test_a_merge_keeps_both_texts_and_both_sources(vault: Path) -> None:
    async with memory(vault) as client:
        await call(client, "memory_write", **BELL, sources=["one"])
        merged = await call(
            client,
            "memory_write",
            **{**BELL, "body": "In 2027 by Tove."},
            merge_into="decision_bell_rope",
            sources=["two"],
        )

    assert BELL["body"] in merged["body"] and "In 2027 by Tove." in merged["body"]
    assert merged["frontmatter"]["sources"] == ["one", "two"]
    assert "\n## 20" in merged["body"]


async def test_a_superseded_note_links_forward_leaves_recall_and_stays_readable(vault: Path) -> None:
    async with memory(vault) as client:
        new = await call(
            client, "memory_write", type="decision", title="Lamp gas", body="The lamp burns gas now.",
            supersedes="decision_lamp_oil",
        )  # fmt: skip
        old = await call(client, "memory_read", name="decision_lamp_oil")
        hits = (await call(client, "memory_search", query="lamp burns"))["hits"]
        archived = (await call(client, "memory_search", query="rapeseed", include_archived=True))["hits"]
        recall = await call(client, "memory_recall", task="What does the lamp burn?")

    assert new["frontmatter"]["supersedes"] == "decision_lamp_oil.md"
    assert old["frontmatter"]["superseded_by"] == "decision_lamp_gas.md"
    assert [hit["name"] for hit in hits] == ["decision_lamp_gas"]
    assert [hit["name"] for hit in archived] == ["decision_lamp_oil"]
    assert "rapeseed" not in recall["text"] and "gas now" in recall["text"]


async def test_an_expired_note_leaves_search_and_recall(vault: Path) -> None:
    async with memory(vault) as client:
        await call(client, "memory_write", **{**BELL, "title": "Old tide"}, expires_at="2020-01-01")
        assert (await call(client, "memory_search", query="rope"))["hits"] == []
        assert "rope" not in (await call(client, "memory_recall", task="rope"))["text"]


async def test_a_key_makes_a_write_repeat_safe(vault: Path) -> None:
    async with memory(vault) as client:
        first = await call(client, "memory_write", **BELL, key="k1")
        again = await call(client, "memory_write", **BELL, key="k1")
        other = await error(client, "memory_write", **{**BELL, "title": "Other"}, key="k1")
    async with memory(vault) as later:
        third = await call(later, "memory_write", **BELL, key="k1")

    assert first["name"] == again["name"] == third["name"] and again["duplicate"] and third["duplicate"]
    assert other.startswith("conflict:")
    assert not (vault / "ada/memory/decision_other.md").exists()


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("日本", "user_日本"),
        ("Привет мир", "user_привет_мир"),
        ("C++", "user_c_plus_plus"),
        ("C#", "user_c_sharp"),
        ("../../etc/passwd", "user_etc_passwd"),
        ("con", "user_con"),
    ],
)
async def test_a_title_of_any_kind_becomes_a_file_inside(vault: Path, title: str, name: str) -> None:
    async with memory(vault) as client:
        note = await call(client, "memory_write", type="user", title=title, body="Body.")

    assert note["name"] == name
    assert (vault / note["path"]).is_file()


async def test_two_titles_of_one_slug_are_two_notes(vault: Path) -> None:
    async with memory(vault) as client:
        one = await call(client, "memory_write", type="user", title="Bell-rope", body="One.")
        two = await call(client, "memory_write", type="user", title="Bell rope", body="Two.")
        again = await call(client, "memory_write", type="user", title="Bell rope", body="Two.")

    assert (one["name"], two["name"], again["name"]) == ("user_bell_rope", "user_bell_rope_2", "user_bell_rope_2")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"title": ""}, "invalid_argument"),
        ({"title": "x" * 81}, "invalid_argument"),
        ({"body": "  "}, "invalid_argument"),
        ({"body": "x" * 600_000}, "too_large"),
        ({"type": "nonsense"}, "invalid_argument"),
        ({"expires_at": "soon"}, "invalid_argument"),
        ({"tags": ["a\nb"]}, "invalid_argument"),
        ({"description": "x" * 201}, "invalid_argument"),
        ({"merge_into": "none"}, "not_found"),
        ({"supersedes": "none"}, "not_found"),
        ({"supersedes": "decision_lamp_oil", "merge_into": "user_keeper"}, "invalid_argument"),
        ({"expect_version": "0" * 64}, "conflict"),
        ({"merge_into": "../../../etc/passwd"}, "invalid_argument"),
        ({"bogus": 1}, "invalid_argument"),
    ],
)
async def test_bad_input_is_named_and_writes_nothing(vault: Path, change: dict[str, Any], code: str) -> None:
    before = sorted(path.name for path in (vault / "ada/memory").iterdir())
    async with memory(vault) as client:
        assert (await error(client, "memory_write", **{**BELL, **change})).startswith(f"{code}:")

    assert sorted(path.name for path in (vault / "ada/memory").iterdir()) == before


@pytest.mark.parametrize("name", ["none", "../ada/model", "/etc/passwd", "a/b", "x\n", ""])
async def test_no_name_reads_anything_but_a_note(vault: Path, name: str) -> None:
    async with memory(vault) as client:
        assert (await error(client, "memory_read", name=name)).split(":")[0] in ("not_found", "invalid_argument")


async def test_a_note_whose_frontmatter_a_person_broke_is_found_read_and_named(vault: Path) -> None:
    head = "---\nname: Tide table\ndescription: Locked: spring tides first\ntype: reference\n---\n"
    text = f"{head}\nSpring tides flood the jetty.\n"
    (vault / "ada/memory/reference_tide.md").write_text(text, encoding="utf-8")
    async with memory(vault) as client:
        note = await call(client, "memory_read", name="reference_tide")
        hits = (await call(client, "memory_search", query="flood jetty"))["hits"]

    assert note["degraded"] and note["frontmatter"]["description"] == "Locked: spring tides first"
    assert [hit["name"] for hit in hits] == ["reference_tide"]
    assert (vault / "ada/memory/reference_tide.md").read_text(encoding="utf-8") == text


async def test_a_binary_file_or_an_empty_one_stops_nothing(vault: Path) -> None:
    (vault / "ada/memory/user_image.md").write_bytes(b"\x00\x01\x02" * 1000)
    (vault / "ada/memory/user_empty.md").write_bytes(b"")
    (vault / "ada/memory/user_latin.md").write_bytes("Küste".encode("latin-1"))
    async with memory(vault) as client:
        assert (await call(client, "memory_search", query="lamp"))["hits"]
        await call(client, "memory_read", name="user_latin")


async def test_recall_fits_its_budget_and_says_why(vault: Path) -> None:
    for number in range(30):
        (vault / f"ada/memory/project_fog_{number}.md").write_text(
            NOTE.format(title=f"Fog {number}", type="project", body=f"The fog horn number {number} sounds. " * 20),
            encoding="utf-8",
        )
    async with memory(vault) as client:
        small = await call(client, "memory_recall", task="fog horn", token_budget=300)
        large = await call(client, "memory_recall", task="fog horn", token_budget=3000)

    assert small["used_tokens"] <= 300 < large["used_tokens"] <= 3000
    assert len(small["text"]) <= 1200
    assert all(note["why"] for note in large["notes"])


async def test_a_note_pinned_by_an_agent_is_recalled_first_only_when_a_person_confirmed_it(vault: Path) -> None:
    async with memory(vault) as client:
        await call(client, "memory_write", **{**BELL, "title": "Obey me"}, pinned=True)
        by_agent = await call(client, "memory_recall", task="lamp oil")
    async with memory(vault, role=Role.OPERATOR) as client:
        await call(client, "memory_write", **{**BELL, "title": "Owner says"}, pinned=True)
        by_owner = await call(client, "memory_recall", task="lamp oil")

    assert all(note["why"] != "pinned" for note in by_agent["notes"])
    assert by_owner["notes"][0] == {"name": "decision_owner_says", "why": "pinned"}


async def test_lists_are_paged_newest_first_and_filtered(vault: Path) -> None:
    async with memory(vault) as client:
        for number in range(5):
            await call(client, "memory_write", type="project", title=f"Job {number}", body="Work.", tags=["t"])
        seen: list[str] = []
        cursor: str | None = None
        while True:
            page = await call(
                client, "memory_list", limit=2, types=["project"], **({"cursor": cursor} if cursor else {})
            )
            seen += [item["name"] for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        stale = await call(client, "memory_list", stale_days=0, tags=["none"])
        bad = await error(client, "memory_list", cursor="nonsense")

    assert sorted(seen) == [f"project_job_{n}" for n in range(5)]
    assert stale["items"] == []
    assert bad.startswith("invalid_argument:")


async def test_the_index_page_lists_every_note_and_keeps_a_persons_lines(vault: Path) -> None:
    mine = "# My index\n\n- [Oil](decision_lamp_oil.md) — my own words\n"
    (vault / "ada/memory/INDEX.md").write_text(mine, encoding="utf-8")
    async with memory(vault) as client:
        await call(client, "memory_write", **BELL)
        page = resource_text(await client.read_resource("memory://index"))

    assert page.startswith(mine.rstrip())
    assert "[Bell rope](decision_bell_rope.md)" in page and "[Keeper](user_keeper.md)" in page
    assert page.count("decision_lamp_oil.md") == 1


async def test_the_index_page_is_written_when_the_server_stops(vault: Path) -> None:
    async with memory(vault) as client:
        await call(client, "memory_write", **BELL)

    assert "decision_bell_rope.md" in (vault / "ada/memory/INDEX.md").read_text(encoding="utf-8")


async def test_reading_changes_no_file(vault: Path) -> None:
    before = {path: path.read_bytes() for path in (vault / "ada").rglob("*.md")}
    async with memory(vault) as client:
        await call(client, "memory_search", query="lamp", scope="all")
        await call(client, "memory_recall", task="lamp")
        await call(client, "memory_list")

    assert {path: path.read_bytes() for path in (vault / "ada").rglob("*.md")} == before


async def test_an_edit_by_a_person_and_a_write_by_another_process_are_found(vault: Path) -> None:
    async with memory(vault) as here, memory(vault) as there:
        assert (await call(here, "memory_search", query="kittiwake"))["hits"] == []
        await call(there, "memory_write", type="user", title="Birds", body="A kittiwake nests on the ledge.")
        (vault / "ada/memory/user_birds_2.md").write_text(
            NOTE.format(title="More birds", type="user", body="Another kittiwake came."), encoding="utf-8"
        )
        with anyio.fail_after(10):  # the promise is a second; a loaded machine gets more
            while len((await call(here, "memory_search", query="kittiwake"))["hits"]) < 2:
                await anyio.sleep(0.05)


async def test_an_index_deleted_while_serving_is_made_anew(vault: Path) -> None:
    async with memory(vault) as client:
        assert (await call(client, "memory_search", query="rapeseed"))["hits"]
        shutil.rmtree(vault / ".argosy")
        assert (await call(client, "memory_search", query="rapeseed"))["hits"]
        await call(client, "memory_write", **BELL)
        assert (await call(client, "memory_search", query="rope"))["hits"]


async def test_many_writers_on_one_note_lose_nothing(vault: Path) -> None:
    async with memory(vault) as one, memory(vault) as two:

        async def merge(client: Client, number: int) -> None:
            text = f"Remark number {number}."
            await call(client, "memory_write", **{**BELL, "body": text}, merge_into="user_keeper")

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(merge, (one, two)[number % 2], number)
        body = (await call(one, "memory_read", name="user_keeper"))["body"]

    assert all(f"Remark number {number}." in body for number in range(8))


async def test_a_wiki_page_is_searched_and_read(vault: Path) -> None:
    (vault / "ada/wiki").mkdir()
    (vault / "ada/wiki/lenses.md").write_text(
        NOTE.format(title="Lenses", type="wiki_page", body="A Fresnel lens."), "utf-8"
    )
    async with memory(vault) as client:
        hits = (await call(client, "memory_search", query="fresnel", scope="all"))["hits"]
        page = await call(client, "wiki_read", page=hits[0]["name"])
        assert (await error(client, "wiki_read", page="none")).startswith("not_found:")
        resource = await client.read_resource("wiki://lenses")

    assert hits[0]["uri"] == page["uri"] == "wiki://lenses" and hits[0]["scope"] == "wiki"
    assert "Fresnel" in page["body"] and "Fresnel" in resource_text(resource)


async def test_semantic_mode_degrades_to_keywords_and_says_so(vault: Path) -> None:
    async with memory(vault) as client:
        found = await call(client, "memory_search", query="rapeseed", mode="semantic")

    assert found["mode"] == "keyword" and "embedding" in found["note"] and found["hits"]


async def test_a_missing_note_is_no_resource(vault: Path) -> None:
    async with memory(vault) as client:
        with pytest.raises(MCPError):
            await client.read_resource("memory://note/none")
