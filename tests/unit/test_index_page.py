"""``INDEX.md``: what it lists, what of a person's lines it keeps, and when it is written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_core.index.documents import Entry
from argosy_core.index.library import Library
from argosy_core.serving.config import open_store
from argosy_core.storage.base import Content, Store
from argosy_core.testing.fakes import FakeClock
from argosy_memory import index_page
from argosy_memory.index_page import BEGIN, END, LONGEST_DELAY_SECONDS, IndexPages, render_block, with_block
from argosy_memory.shelves import SHELVES, make_document

PROMISED_SECONDS = 2.0


class Timers:
    """Timers that a test lets run out, with the seconds they were set for."""

    def __init__(self) -> None:
        self.set: list[tuple[float, Callable[[], None]]] = []


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "ada/memory").mkdir(parents=True)
    opened = open_store(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> Timers:
    made = Timers()

    def set_timer(pages: IndexPages, seconds: float) -> None:
        made.set.append((seconds, pages._due))
        pages._timer = threading.Timer(0, lambda: None)

    monkeypatch.setattr(IndexPages, "_set_timer", set_timer)
    return made


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def pages(store: Store, clock: FakeClock) -> Iterator[IndexPages]:
    library = Library(store, clock, SHELVES, make_document)
    yield IndexPages(store.files, library, clock)
    library.close()


def write(store: Store, name: str, title: str) -> None:
    text = f"---\nname: {title}\ntype: user\n---\n\nBody.\n"
    store.files.replace(f"ada/memory/{name}.md", text.encode())


def page(store: Store) -> str:
    return store.files.read("ada/memory/INDEX.md").data.decode()


def run_out(timers: Timers, clock: FakeClock) -> float:
    """Let the timers run out one after the other until none is set; the seconds that passed."""
    passed = 0.0
    while timers.set:
        seconds, due = timers.set.pop(0)
        clock.advance(seconds)
        passed += seconds
        due()
    return passed


def test_the_page_follows_the_last_write_within_two_seconds(
    store: Store, pages: IndexPages, timers: Timers, clock: FakeClock
) -> None:
    for number in range(5):
        write(store, f"user_n{number}", f"N {number}")
        pages.mark("ada")
        clock.advance(0.3)
    assert run_out(timers, clock) <= PROMISED_SECONDS
    assert all(f"user_n{number}.md" in page(store) for number in range(5))


def test_writes_that_do_not_end_do_not_keep_the_page_back_for_ever(
    store: Store, pages: IndexPages, timers: Timers, clock: FakeClock
) -> None:
    write(store, "user_a", "A")
    pages.mark("ada")
    passed = 0.0
    while store.files.info("ada/memory/INDEX.md") is None:
        seconds, due = timers.set.pop(0)
        clock.advance(seconds)
        passed += seconds
        pages.mark("ada")  # just before it is due, somebody writes again
        due()
    assert passed <= LONGEST_DELAY_SECONDS + PROMISED_SECONDS


def test_above_five_thousand_notes_the_newest_are_listed_and_the_rest_counted(
    store: Store, pages: IndexPages, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert index_page.MOST_LISTED == 5_000
    monkeypatch.setattr(index_page, "MOST_LISTED", 3)
    for number in range(5):
        text = f"---\nname: N {number}\ntype: user\nlast_seen: 2026-11-0{number + 1}\n---\n\nBody.\n"
        store.files.replace(f"ada/memory/user_n{number}.md", text.encode())
    pages.rebuild("ada")
    found = page(store)

    assert "The newest 3 of 5 notes" in found
    assert [f"user_n{number}.md" in found for number in range(5)] == [False, False, True, True, True]
    assert not list(Path(str(store.state_path("x"))).parent.parent.rglob("INDEX_*"))


def test_a_page_that_would_not_change_is_not_touched(store: Store, pages: IndexPages) -> None:
    write(store, "user_a", "A")
    pages.rebuild("ada")
    before = store.files.info("ada/memory/INDEX.md")
    pages.rebuild("ada")
    assert store.files.info("ada/memory/INDEX.md") == before


def entry(name: str, title: str) -> Entry:
    return Entry(f"ada/memory/{name}.md", "ada", "notes", name, title, "user", "", (), (1, 1), "2026-11-01")


OWN = st.text(alphabet="ab -[]()#\n", max_size=60).filter(lambda text: BEGIN not in text and END not in text)


@given(OWN, OWN, st.lists(st.text(alphabet="ab[]", min_size=1, max_size=8), max_size=3))
def test_a_persons_lines_around_the_block_are_kept_byte_for_byte(before: str, after: str, titles: list[str]) -> None:
    first = with_block(f"x{before}{BEGIN}\nold\n{END}{after}", render_block([], 0, "2026-11-01"), "ada")
    entries = [entry(f"user_{number}", title) for number, title in enumerate(titles)]
    again = with_block(first, render_block(entries, len(entries), "2026-11-01"), "ada")

    assert again.startswith(f"x{before}{BEGIN}") and again.endswith(f"{END}{after}")
    assert "old" not in again and again.count(BEGIN) == again.count(END) == 1


def test_a_page_that_another_was_faster_with_is_made_of_what_is_known_then(
    store: Store, pages: IndexPages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, "user_a", "A")
    replace = store.files.replace

    def overtaken(path: str, data: bytes, **expected: Any) -> Content:
        """Somebody else writes a note and the page just before."""
        monkeypatch.setattr(store.files, "replace", replace)
        write(store, "user_b", "B")
        other = open_store(tmp_path)
        library = Library(other, FakeClock(), SHELVES, make_document)
        IndexPages(other.files, library, FakeClock()).rebuild("ada")
        library.close()
        other.close()
        return replace(path, data, **expected)

    monkeypatch.setattr(store.files, "replace", overtaken)
    pages.rebuild("ada")
    assert "user_a.md" in page(store) and "user_b.md" in page(store)
