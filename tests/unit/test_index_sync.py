"""Reconciling the index with the disk."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from argosy_core.index import Changes, DocumentIndex, IndexedDocument, Stamp, reconcile
from argosy_core.index.documents import summed
from argosy_core.index.sync import agrees
from argosy_core.testing.fakes import FakeClock


class Disk:
    """Files as a dictionary, and a record of what was read."""

    def __init__(self) -> None:
        self.files: dict[str, IndexedDocument] = {}
        self.read: list[str] = []

    def write(self, name: str, body: str, mtime: int = 1) -> None:
        path = f"ada/notes/{name}.md"
        self.files[path] = IndexedDocument(
            path, "ada", "notes", name, "", "project", "", (), body, (mtime, len(body)), "2026-11-01"
        )

    def listing(self) -> Iterator[tuple[str, Stamp]]:
        return ((path, document.stamp) for path, document in list(self.files.items()))

    def load(self, path: str) -> IndexedDocument | None:
        self.read.append(path)
        return self.files.get(path)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[DocumentIndex]:
    opened = DocumentIndex(tmp_path / "index.sqlite", clock=FakeClock())
    yield opened
    opened.close()


def run(index: DocumentIndex, disk: Disk, batch: int = 500) -> Changes:
    disk.read.clear()
    return reconcile(index, "ada", "notes", disk.listing(), disk.load, batch=batch)


def found(index: DocumentIndex, text: str) -> list[str]:
    return sorted(hit.name for hit in index.search(text, agent="ada", scopes=("notes",)).hits)


def test_only_what_differs_is_read(index: DocumentIndex, disk: Disk) -> None:
    for name in ("a", "b", "c"):
        disk.write(name, "alpha")
    assert index.needs_rebuild("ada", "notes")
    assert run(index, disk) == Changes(added=3)
    assert not index.needs_rebuild("ada", "notes")
    disk.write("a", "beta beta")
    disk.write("d", "beta")
    del disk.files["ada/notes/b.md"]
    assert run(index, disk) == Changes(added=1, changed=1, removed=1)
    assert sorted(disk.read) == ["ada/notes/a.md", "ada/notes/d.md"]
    assert (found(index, "alpha"), found(index, "beta")) == (["c"], ["a", "d"])
    assert run(index, disk) == Changes()
    assert disk.read == []


@pytest.mark.parametrize(
    "happens",
    [
        pytest.param(lambda files: files.update({"ada/notes/c.md": (1, 5)}), id="another file"),
        pytest.param(lambda files: files.pop("ada/notes/a.md"), id="one less"),
        pytest.param(lambda files: files.update({"ada/notes/a.md": (2, 5)}), id="another time"),
        pytest.param(lambda files: files.update({"ada/notes/a.md": (1, 6)}), id="another size"),
        pytest.param(lambda files: files.update({"ada/notes/c.md": files.pop("ada/notes/a.md")}), id="another name"),
        pytest.param(
            lambda files: files.update({"ada/notes/a.md": (2, 5), "ada/notes/b.md": (1, 5)}), id="times exchanged"
        ),
    ],
)
def test_an_index_agrees_with_the_files_it_was_made_of_in_any_order_and_with_no_others(
    index: DocumentIndex, disk: Disk, happens: Callable[[dict[str, Stamp]], Any]
) -> None:
    disk.write("a", "alpha", mtime=1)
    disk.write("b", "alpha", mtime=2)
    run(index, disk)
    index.put(replace(disk.files["ada/notes/a.md"], path="ada/wiki/x.md", scope="wiki"))
    files = dict(disk.listing())
    assert agrees(index, "ada", "notes", reversed(files.items()))
    happens(files)
    assert not agrees(index, "ada", "notes", files.items())


def test_no_two_files_exchange_their_times_or_sizes_unnoticed() -> None:
    paths = [f"ada/notes/note {number}.md" for number in range(200)]
    for one, other in itertools.pairwise(paths):
        assert summed([(one, (1, 5)), (other, (2, 5))]) != summed([(one, (2, 5)), (other, (1, 5))])
        assert summed([(one, (1, 5)), (other, (1, 6))]) != summed([(one, (1, 6)), (other, (1, 5))])


def test_other_scopes_and_agents_are_left_alone(index: DocumentIndex, disk: Disk) -> None:
    disk.write("a", "alpha")
    other = replace(disk.files["ada/notes/a.md"], path="ada/wiki/x.md", scope="wiki")
    index.put(other)
    run(index, disk)
    assert index.get("ada/wiki/x.md") == other
    assert index.needs_rebuild("ada", "wiki")


def test_a_file_that_cannot_be_had_is_left_out_and_dropped(index: DocumentIndex, disk: Disk) -> None:
    disk.write("a", "alpha")
    disk.write("b", "alpha")
    run(index, disk)
    stale = [("ada/notes/a.md", (5, 5)), ("ada/notes/b.md", disk.files["ada/notes/b.md"].stamp), ("gone.md", (1, 1))]
    changes = reconcile(index, "ada", "notes", stale, lambda path: None)
    assert changes == Changes(removed=1)
    assert found(index, "alpha") == ["b"]


def test_a_run_that_was_cut_short_is_taken_up_by_the_next(index: DocumentIndex, disk: Disk) -> None:
    for n in range(10):
        disk.write(f"n{n}", "alpha", mtime=n)

    def failing(path: str) -> IndexedDocument | None:
        if path.endswith("n7.md"):
            raise KeyboardInterrupt
        return disk.load(path)

    with pytest.raises(KeyboardInterrupt):
        reconcile(index, "ada", "notes", disk.listing(), failing, batch=3)
    assert index.counts("ada") == {"notes": 6}
    assert index.needs_rebuild("ada", "notes")
    assert run(index, disk, batch=3) == Changes(added=4)
    assert len(disk.read) == 4
    assert index.counts("ada") == {"notes": 10}


def test_progress_is_told_after_every_batch(index: DocumentIndex, disk: Disk) -> None:
    for n in range(5):
        disk.write(f"n{n}", "alpha")
    told: list[tuple[int, int]] = []
    reconcile(index, "ada", "notes", disk.listing(), disk.load, batch=2, progress=lambda *seen: told.append(seen))
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_what_somebody_puts_meanwhile_stays_as_they_put_it(index: DocumentIndex, disk: Disk) -> None:
    for name in ("changed", "created", "deleted"):
        disk.write(name, "old")
    newer = {path: replace(document, body="newer", stamp=(9, 9)) for path, document in disk.files.items()}
    index.put(disk.files["ada/notes/changed.md"], disk.files["ada/notes/deleted.md"])
    listing = [("ada/notes/changed.md", (2, 2)), ("ada/notes/created.md", (2, 2))]

    def load(path: str) -> IndexedDocument | None:
        index.put(*newer.values())
        return replace(disk.files[path], body="older", stamp=(2, 2))

    reconcile(index, "ada", "notes", listing, load)
    assert found(index, "newer") == ["changed", "created", "deleted"]
    assert found(index, "older") == []


def test_a_document_put_before_it_is_listed_is_not_removed(index: DocumentIndex, disk: Disk) -> None:
    disk.write("a", "alpha")

    def listing() -> Iterator[tuple[str, Stamp]]:
        disk.write("b", "alpha")
        index.put(disk.files["ada/notes/b.md"])
        yield from disk.listing()

    reconcile(index, "ada", "notes", listing(), disk.load)
    assert found(index, "alpha") == ["a", "b"]


def test_huge_bodies_are_brought_in_a_few_at_a_time(index: DocumentIndex, disk: Disk) -> None:
    for n in range(5):
        disk.write(f"n{n}", f"word{n} " * 200_000)
    told: list[tuple[int, int]] = []
    reconcile(index, "ada", "notes", disk.listing(), disk.load, progress=lambda *seen: told.append(seen))
    assert told == [(4, 5), (5, 5)]
