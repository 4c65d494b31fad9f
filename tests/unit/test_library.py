"""The index kept true to the vault: what is written, rung for, found by comparing, and what is said meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from argosy_core.clock import SystemClock
from argosy_core.errors import Unavailable
from argosy_core.index import IndexedDocument, filling
from argosy_core.index.face import Index
from argosy_core.index.library import Library, Shelf
from argosy_core.serving.config import open_store
from argosy_core.storage.base import FileInfo, Store
from argosy_core.storage.listening_bell import ListeningBell

SHELVES = (Shelf("notes", "memory"), Shelf("raw", "raw", suffix="", deep=True))


class Maker:
    """Makes documents of files; *gate* holds it up at the file called *name*."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.name = ""
        self.gate, self.reached = threading.Event(), threading.Event()
        self.error: Exception | None = None

    def make(self, agent: str, path: str, data: bytes, stamp: tuple[int, int]) -> IndexedDocument:
        name = path.rsplit("/", 1)[-1]
        self.made.append(name)
        if self.name == name:
            self.reached.set()
            assert self.gate.wait(20)
        if self.error is not None:
            raise self.error
        scope = "notes" if path.split("/")[1] == "memory" else "raw"
        return IndexedDocument(
            path, agent, scope, name.removesuffix(".md"), "", "t", "", (), data.decode(), stamp, "2026-11-01"
        )


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    (tmp_path / "ada/memory").mkdir(parents=True)
    (tmp_path / "ada/memory/one.md").write_text("alpha", encoding="utf-8")
    return tmp_path


@pytest.fixture
def store(vault: Path) -> Iterator[Store]:
    opened = open_store(vault)
    yield opened
    opened.close()


@pytest.fixture
def maker() -> Iterator[Maker]:
    made = Maker()
    yield made
    made.gate.set()


@pytest.fixture
def library(store: Store, maker: Maker) -> Iterator[Library]:
    made = Library(store, SystemClock(), SHELVES, maker.make)
    yield made
    maker.gate.set()
    made.close()


@contextmanager
def watched(store: Store) -> Generator[None]:
    """Its folder is watched, from a moment after the beginning on."""
    assert isinstance(store.bell, ListeningBell)
    store.bell.start()
    try:
        yield
    finally:
        store.bell.stop()


def names(index: Index, text: str = "alpha", scope: str = "notes") -> list[str]:
    return sorted(hit.name for hit in index.search(text, agent="ada", scopes=(scope,), limit=100).hits)


def write(vault: Path, name: str, text: str = "alpha") -> None:
    path = vault / "ada" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def until(holds: Callable[[], bool]) -> None:
    event = threading.Event()
    for _ in range(2_000):
        if holds():
            return
        event.wait(0.005)
    raise AssertionError("it never came to hold")


def test_the_first_question_finds_what_the_disk_has(library: Library, vault: Path) -> None:
    write(vault, "raw/deep/er.txt")
    assert names(library.fresh("ada", ("notes", "raw"))) == ["one"]
    assert names(library.index, scope="raw") == ["er.txt"]
    assert library.progress("ada", ("notes", "raw")) is None and not library.is_filling


def test_a_path_that_was_rung_for_is_taken_in_before_the_next_question_and_without_one(
    library: Library, vault: Path, store: Store
) -> None:
    library.fresh("ada", ("notes",))
    told = threading.Event()
    library.on_change(told.set)
    write(vault, "memory/two.md")
    store.bell.ring("ada/memory/two.md")
    assert names(library.fresh("ada", ("notes",))) == ["one", "two"]
    (vault / "ada/memory/two.md").unlink()
    store.bell.ring("ada/memory/two.md", "ada/log/x.jsonl", "fleet.md")
    until(lambda: names(library.index) == ["one"])

    assert told.wait(10)
    until(lambda: library.waiting == 0)


@pytest.mark.parametrize("path", ["", "ada", "ada/memory"])
def test_a_folder_that_was_rung_for_is_compared_again(library: Library, vault: Path, store: Store, path: str) -> None:
    library.fresh("ada", ("notes",))
    write(vault, "memory/two.md")
    assert names(library.fresh("ada", ("notes",))) == ["one"]  # nobody said so, and it was looked at just now
    store.bell.ring(path)
    until(lambda: names(library.fresh("ada", ("notes",))) == ["one", "two"])


def listed(store: Store, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None] = lambda: None) -> list[str]:
    """The folders that are listed from now on; what happens *meanwhile*, the first time."""
    walk, folders = store.files.walk, list[str]()

    def walk_and_tell(path: str, suffix: str = "", *, deep: bool = True) -> Iterator[FileInfo]:
        folders.append(path)
        if len(folders) == 1:
            meanwhile()
        yield from walk(path, suffix, deep=deep)

    monkeypatch.setattr(store.files, "walk", walk_and_tell)
    return folders


def test_comparing_very_many_begins_when_their_folder_is_watched_and_is_not_made_twice(
    library: Library, maker: Maker, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.whole("ada", ("notes",), patience_seconds=20)
    library.close()
    monkeypatch.setattr(filling, "MANY", 1)
    monkeypatch.setattr(filling, "WATCHING_SECONDS", 20.0)
    folders = listed(store, monkeypatch)
    again = Library(store, SystemClock(), SHELVES, maker.make)
    try:
        again.fresh("ada", ("notes",), patience_seconds=0.0)
        assert again.is_filling and not folders
        store.bell.ring("")  # as a bell does when it begins to watch
        assert names(again.whole("ada", ("notes",), patience_seconds=20)) == ["one"]
        again.fresh("ada", ("notes",), patience_seconds=20)
    finally:
        again.close()
    assert folders.count("ada/memory") == 1


def test_what_may_have_changed_while_files_are_listed_is_listed_once_more(
    library: Library, maker: Maker, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.whole("ada", ("notes",), patience_seconds=20)
    library.close()
    folders = listed(store, monkeypatch, lambda: store.bell.ring(""))
    again = Library(store, SystemClock(), SHELVES, maker.make)
    try:
        again.fresh("ada", ("notes",), patience_seconds=20)
        again.fresh("ada", ("notes",), patience_seconds=20)
        again.fresh("ada", ("notes",), patience_seconds=20)
    finally:
        again.close()
    assert folders.count("ada/memory") == 2


def test_while_the_index_fills_a_question_gets_a_part_and_whoever_needs_all_is_told(
    library: Library, vault: Path, maker: Maker
) -> None:
    write(vault, "memory/two.md")
    maker.name = "two.md"
    index = library.fresh("ada", ("notes",), patience_seconds=0.0)
    assert maker.reached.wait(20)
    assert names(index) == [] and library.is_filling
    assert library.progress("ada", ("notes",)) is not None and library.progress("ada", ("raw",)) is None
    with pytest.raises(Unavailable, match="being filled"):
        library.whole("ada", ("notes",))
    maker.gate.set()
    assert names(library.whole("ada", ("notes",), patience_seconds=20)) == ["one", "two"]


def test_what_changes_while_the_index_fills_is_not_lost(
    library: Library, vault: Path, maker: Maker, store: Store
) -> None:
    maker.name = "one.md"
    library.fresh("ada", ("notes",), patience_seconds=0.0)
    assert maker.reached.wait(20)
    write(vault, "memory/late.md")  # after the listing
    store.bell.ring("")  # and somebody lost count of what changed
    maker.gate.set()
    until(lambda: names(library.fresh("ada", ("notes",))) == ["late", "one"])


def test_what_was_compared_is_believed_while_it_is_compared_again_because_watching_began(
    library: Library, vault: Path, maker: Maker, store: Store
) -> None:
    library.whole("ada", ("notes",), patience_seconds=20)
    write(vault, "memory/two.md")  # before watching begins
    maker.name = "two.md"
    with watched(store):
        assert maker.reached.wait(20) and store.bell.watching
        assert names(library.whole("ada", ("notes",))) == ["one"]
        assert library.progress("ada", ("notes",)) is None and not library.is_filling
        store.bell.ring("")  # now something is known to have changed
        with pytest.raises(Unavailable, match="being filled"):
            library.whole("ada", ("notes",))
        maker.gate.set()
        assert names(library.whole("ada", ("notes",), patience_seconds=20)) == ["one", "two"]


def test_a_comparison_in_whose_middle_watching_began_is_repeated_and_believed_meanwhile(
    library: Library, vault: Path, maker: Maker, store: Store
) -> None:
    maker.name = "one.md"
    library.fresh("ada", ("notes",), patience_seconds=0.0)
    assert maker.reached.wait(20)
    write(vault, "memory/two.md")  # after the listing, and before watching begins
    rung = threading.Event()
    store.bell.listen("", lambda paths: rung.set())
    with watched(store):
        assert rung.wait(20) and library.is_filling
        maker.name, maker.reached = "two.md", threading.Event()
        first, maker.gate = maker.gate, threading.Event()
        first.set()
        assert maker.reached.wait(20)
        assert names(library.whole("ada", ("notes",))) == ["one"]
        maker.gate.set()
        until(lambda: names(library.fresh("ada", ("notes",))) == ["one", "two"])


def test_a_document_put_while_the_index_fills_stays_as_it_was_put(
    library: Library, vault: Path, maker: Maker, store: Store
) -> None:
    maker.name = "one.md"
    library.fresh("ada", ("notes",), patience_seconds=0.0)
    assert maker.reached.wait(20)
    content = store.files.replace("ada/memory/one.md", b"beta")
    document = IndexedDocument(
        "ada/memory/one.md", "ada", "notes", "one", "", "t", "", (), "beta", content.stamp, "2026-11-01"
    )
    library.put(document.path, document.stamp, lambda: document)
    assert names(library.fresh("ada", ("notes",), patience_seconds=0.0), "beta") == ["one"]
    maker.gate.set()
    assert names(library.whole("ada", ("notes",), patience_seconds=20), "beta") == ["one"]
    assert names(library.index, "alpha") == []


def test_a_document_put_just_after_the_files_were_listed_is_not_removed(
    library: Library, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = store.files.walk

    def list_then_put(path: str, suffix: str = "", *, deep: bool = True) -> Iterator[FileInfo]:
        yield from [*walk(path, suffix, deep=deep)]
        content = store.files.replace("ada/memory/two.md", b"alpha")
        library.index.put(IndexedDocument(
            "ada/memory/two.md", "ada", "notes", "two", "", "t", "", (), "alpha", content.stamp, "2026-11-01"
        ))  # fmt: skip

    monkeypatch.setattr(store.files, "walk", list_then_put)
    assert names(library.whole("ada", ("notes",), patience_seconds=20)) == ["one", "two"]


def test_a_comparison_that_failed_is_told_to_whoever_waits_and_made_again(library: Library, maker: Maker) -> None:
    maker.error = Unavailable("the disk is away")
    with pytest.raises(Unavailable, match="the disk is away"):
        library.fresh("ada", ("notes",))
    maker.error = None
    assert names(library.fresh("ada", ("notes",))) == ["one"]


def test_who_wants_to_know_of_changes_is_told_when_a_comparison_is_over(library: Library, maker: Maker) -> None:
    told, fillings = threading.Event(), list[bool]()

    def tell() -> None:
        fillings.append(library.is_filling)
        told.set()

    library.on_change(tell)
    maker.name = "one.md"
    library.fresh("ada", ("notes",), patience_seconds=0.0)
    assert maker.reached.wait(20) and not told.is_set()
    maker.gate.set()
    assert told.wait(20)
    assert fillings == [False]


def test_closing_ends_a_comparison_and_the_next_start_takes_it_up(vault: Path, store: Store) -> None:
    for number in range(1_200):
        write(vault, f"memory/n{number:04}.md")
    slow = Maker()
    slow.name = "n0600.md"
    first = Library(store, SystemClock(), SHELVES, slow.make)
    first.fresh("ada", ("notes",), patience_seconds=0.0)
    assert slow.reached.wait(20)
    closing = threading.Thread(target=first.close)
    closing.start()
    slow.gate.set()
    closing.join(20)
    assert not closing.is_alive() and len(slow.made) < 1_201
    with pytest.raises(Unavailable):
        first.fresh("ada", ("notes",))
    again = Maker()
    second = Library(store, SystemClock(), SHELVES, again.make)
    assert len(names(second.whole("ada", ("notes",), patience_seconds=20))) == 100  # the limit asked for
    assert second.index.counts("ada") == {"notes": 1_201} and len(again.made) < 1_201
    second.close()


def test_an_index_that_was_deleted_is_filled_again(library: Library, store: Store) -> None:
    library.fresh("ada", ("notes",))
    for path in store.state_path("index.sqlite").parent.glob("index.sqlite*"):
        path.unlink()
    assert names(library.fresh("ada", ("notes",))) == ["one"]


def test_an_index_that_went_away_before_watching_began_is_filled_for_all_to_see(
    library: Library, store: Store, maker: Maker
) -> None:
    library.whole("ada", ("notes",), patience_seconds=20)
    for path in store.state_path("index.sqlite").parent.glob("index.sqlite*"):
        path.unlink()
    maker.name = "one.md"
    with watched(store):
        assert maker.reached.wait(20)
        assert library.progress("ada", ("notes",)) is not None
        with pytest.raises(Unavailable, match="being filled"):
            library.whole("ada", ("notes",))
        maker.gate.set()
        assert names(library.whole("ada", ("notes",), patience_seconds=20)) == ["one"]
