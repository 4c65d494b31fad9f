"""Links between documents, and what the index knows of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_core.index import DocumentIndex, IndexedDocument
from argosy_core.links import MOST_LINKS, link_key, links_in, tags_in
from argosy_core.testing.fakes import FakeClock


@pytest.fixture
def index(tmp_path: Path) -> Iterator[DocumentIndex]:
    opened = DocumentIndex(tmp_path / "index.sqlite", clock=FakeClock())
    yield opened
    opened.close()


def page(name: str, *links: str, agent: str = "ada", hidden: bool = False) -> IndexedDocument:
    path = f"{agent}/wiki/{name}.md"
    keys = tuple(map(link_key, links))
    return IndexedDocument(
        path, agent, "wiki", name, "", "t", "", (), "", (1, 1), "2026-11-01", hidden=hidden, links=keys
    )


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("see [[a]] and [[b c]]", ["a", "b c"]),
        ("[[folder/a|shown]] [[a#part]] [[a|b]]", ["folder/a", "a"]),
        ("`[[code]]` and\n```\n[[fenced]]\n```\nbut [[this]]", ["this"]),
        ("![[picture.png]] ![[Scan 2.PDF#page=3]] ![[lens#Rings]]", ["lens"]),  # an attachment is no document
        ("| [[lens\\|the lens]] | [[a#b\\|c]] |", ["lens", "a"]),  # in a table
        ("[[#here]] [[^block]]", ["^block"]),
        ("[[]] [[ ]] [[|x]] [[a\nb]] [a](b.md) [[[c]]]", ["c"]),
        ("[[日本]] [[Привет мир]]", ["日本", "Привет мир"]),
        ("no links", []),
    ],
)
def test_links_are_read_as_obsidian_writes_them(text: str, links: list[str]) -> None:
    assert links_in(text) == links


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("#lamp and (#oil) #lamp/gas #日本 #a-b_c", ["lamp", "oil", "lamp/gas", "日本", "a-b_c"]),
        ("# Title\n## Part\n#2026 #y2026", ["y2026"]),
        ("C# is no tag, nor a#b, nor `#code` nor http://x/#y", []),
        ("```\n#fenced\n```\n#this", ["this"]),
        ("> [!note] A callout\n> with #that", ["that"]),
    ],
)
def test_tags_in_a_text_are_read_as_obsidian_writes_them(text: str, tags: list[str]) -> None:
    assert tags_in(text) == tags


@given(st.text(alphabet="[]|#`~\n a", max_size=300))
def test_any_text_gives_names_without_marks(text: str) -> None:
    assert all(name and not set(name) & set("[]|#\n") for name in links_in(text))


def test_a_page_of_nothing_but_links_is_bounded() -> None:
    assert len(links_in("".join(f"[[n{number}]]" for number in range(100_000)))) == MOST_LINKS
    assert links_in("[[" * 200_000) == links_in("`" * 200_000) == []


def test_a_link_finds_a_file_whatever_the_folder_the_case_and_the_composition() -> None:
    assert link_key("Optics/Lens.md") == link_key("lens") == link_key(" LENS ")
    assert link_key("Küste") == link_key("Ku\u0308ste") and link_key("Straße") == link_key("STRASSE")


def test_links_are_followed_both_ways_within_one_agent(index: DocumentIndex) -> None:
    index.put(page("lens"), page("lamp", "Lens", "nowhere"), page("old", "lens", hidden=True))
    index.put(page("lamp", "lens", agent="eve"), page("deep/lens"))

    assert [entry.name for entry in index.linking("ada", "lens")] == ["lamp"]
    assert sorted(entry.name for entry in index.resolve("ada", "lens")) == ["deep/lens", "lens"]
    assert index.unresolved("ada", "wiki") == [("ada/wiki/lamp.md", "nowhere")]


def test_links_change_and_go_with_their_document(index: DocumentIndex) -> None:
    index.put(page("lens"), page("lamp", "lens"))
    index.put(page("lamp", "glass"))
    assert index.linking("ada", "lens") == () and index.unresolved("ada", "wiki") == [("ada/wiki/lamp.md", "glass")]
    index.remove("ada/wiki/lamp.md")
    assert index.unresolved("ada", "wiki") == []


def test_a_scan_gives_every_document_and_the_state_changes_with_any(index: DocumentIndex) -> None:
    index.put(*(page(f"p{number}") for number in range(7)))
    before = index.state("ada", "wiki")
    assert [each.name for each in index.scan("ada", "wiki", batch=3)] == [f"p{number}" for number in range(7)]
    assert index.state("ada", "wiki") == before
    index.put(page("p3", "x"))
    assert index.state("ada", "wiki") != before
    assert list(index.scan("eve", "wiki")) == [] and index.state("eve", "wiki")
