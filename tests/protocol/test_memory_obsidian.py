"""A vault that is open in Obsidian too: its conventions are understood, and what it wrote stays byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleet_fixtures import make_vault
from memory_client import call, memory

pytestmark = pytest.mark.anyio
PAGE = """---
aliases:
  - Glim
  - Leuchte
tags: [optics]
cssclasses: wide
---
> [!warning]- Hot
> Never touch the #burner.

![[lamp.png]] and ![[user_keeper#Hours]]

| Part | Note |
| --- | --- |
| [[decision_lamp_oil\\|oil]] | [[Nowhere\\|none]] |

%% a comment %% ==marked== ^block-1
"""


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "vault", {"ada/wiki/lamp.md": PAGE, "ada/memory/reference_lamp.md": PAGE})


async def test_a_page_is_found_by_its_aliases_and_by_tags_in_its_text(vault: Path) -> None:
    async with memory(vault) as client:
        for query in ("glim", "Leuchte"):
            hits = (await call(client, "memory_search", query=query, scope="all"))["hits"]
            assert {hit["uri"] for hit in hits} == {"wiki://lamp", "memory://note/reference_lamp"}
        tagged = await call(client, "memory_search", query="touch", scope="wiki", tags=["burner", "optics"])
        listed = await call(client, "memory_list", tags=["burner"])

    assert [hit["name"] for hit in tagged["hits"]] == ["lamp"]
    assert [item["name"] for item in listed["items"]] == ["reference_lamp"]


async def test_links_in_tables_and_embedded_pages_are_links_and_pictures_are_not(vault: Path) -> None:
    async with memory(vault) as client:
        page = await call(client, "wiki_read", page="lamp")
        lint = (await call(client, "memory_lint"))["items"]

    assert [link["name"] for link in page["links"]] == ["user_keeper", "decision_lamp_oil"]
    assert page["unresolved"] == ["Nowhere"]
    assert {item["detail"] for item in lint if item["kind"] == "dangling_link"} == {"[[nowhere]] is not there"}


async def test_a_change_here_leaves_what_obsidian_wrote_as_it_is(vault: Path) -> None:
    async with memory(vault) as client:
        await call(client, "memory_write", type="reference", title="reference_lamp", body="More of it.",
                   merge_into="reference_lamp")  # fmt: skip
        await call(client, "memory_archive", name="reference_lamp", why="done")

    text = (vault / "ada/memory/reference_lamp.md").read_text("utf-8")
    head, _, body = PAGE.removeprefix("---\n").partition("---\n")
    assert text.startswith(f"---\n{head}") and body.rstrip() in text
