"""The index file: shared by processes and threads, made anew when it is damaged, foreign, old or gone."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from argosy_core.clock import SystemClock
from argosy_core.errors import Unavailable
from argosy_core.index import DocumentIndex, IndexedDocument
from argosy_core.index import database as database_module
from argosy_core.index.index_file import SCHEMA_VERSION

SHARED = Path(__file__).parents[2] / "shared"
PROCESSES, THREADS, PUTS = 4, 3, 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".argosy" / "index.sqlite"


@pytest.fixture
def index(path: Path) -> Iterator[DocumentIndex]:
    opened = DocumentIndex(path, clock=SystemClock())
    yield opened
    opened.close()


def document(name: str, body: str = "alpha", agent: str = "ada") -> IndexedDocument:
    return IndexedDocument(f"{agent}/{name}.md", agent, "notes", name, "", "t", "", (), body, (1, 1), "2026-01-01")


def names(index: DocumentIndex, text: str = "alpha") -> list[str]:
    return sorted(hit.name for hit in index.search(text, agent="ada", scopes=("notes",), limit=100).hits)


def scribble(path: Path) -> None:
    path.write_bytes(b"this is no database at all " * 1_000)


def damage_pages(path: Path) -> None:
    """Everything after the first page becomes noise, as a failing disk leaves it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))


def truncate(path: Path) -> None:
    os.truncate(path, 5_000)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def make_foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
        connection.commit()


def make_old(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION - 1}")


HARM: list[Callable[[Path], None]] = [scribble, damage_pages, truncate, empty, make_foreign, make_old]


@pytest.mark.parametrize("harm", HARM)
def test_a_file_that_is_not_an_index_of_ours_is_made_anew(path: Path, harm: Callable[[Path], None]) -> None:
    first = DocumentIndex(path, clock=SystemClock())
    first.put(*(document(f"n{n}") for n in range(50)))
    first.mark_filled("ada", "notes")
    before = first.generation
    first.close()
    harm(path)
    again = DocumentIndex(path, clock=SystemClock())
    assert names(again) == []
    assert again.generation != before
    assert again.needs_rebuild("ada", "notes")
    again.put(document("b"))
    assert names(again) == ["b"]
    again.close()
    assert path.with_name("index.sqlite.damaged").exists() == (harm is not make_old)


@pytest.mark.parametrize("remove", [Path.unlink, lambda path: shutil.rmtree(path.parent)])
def test_a_file_deleted_while_open_is_noticed_by_the_next_call(
    index: DocumentIndex, path: Path, remove: Callable[[Path], None]
) -> None:
    index.put(document("a"))
    index.mark_filled("ada", "notes")
    before = index.generation
    remove(path)
    assert names(index) == []
    assert index.generation != before
    assert index.needs_rebuild("ada", "notes")
    remove(path)
    index.put(document("b"))
    assert names(index) == ["b"]


def test_a_file_damaged_while_open_is_made_anew(index: DocumentIndex, path: Path) -> None:
    index.put(*(document(f"n{n}", f"alpha {n}") for n in range(300)))
    before = index.generation
    other = DocumentIndex(path, clock=SystemClock())
    assert len(names(other)) == 100
    damage_pages(path)
    late = DocumentIndex(path, clock=SystemClock())
    late.put(document("b"))
    assert names(late) == ["b"]
    for each in (index, other, late):
        assert names(each) == ["b"]
        assert each.generation == late.generation != before
    late.close()
    other.close()


def test_a_log_that_outlived_its_database_is_not_taken_for_the_new_ones(index: DocumentIndex, path: Path) -> None:
    index.put(document("a"))
    assert path.with_name("index.sqlite-wal").stat().st_size > 0
    path.unlink()
    with DocumentIndexes(path) as (other,):
        other.put(document("b"))
        assert names(other) == names(index) == ["b"]


class DocumentIndexes:
    """Some indexes on one file, closed at the end."""

    def __init__(self, path: Path, count: int = 1) -> None:
        self._opened = tuple(DocumentIndex(path, clock=SystemClock()) for _ in range(count))

    def __enter__(self) -> tuple[DocumentIndex, ...]:
        return self._opened

    def __exit__(self, *_: object) -> None:
        for each in self._opened:
            each.close()


def test_an_index_of_a_newer_version_is_left_as_it_is(index: DocumentIndex, path: Path) -> None:
    index.put(document("a"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with DocumentIndexes(path) as (other,), pytest.raises(Unavailable, match="newer"):
        other.put(document("b"))
    assert names(index) == ["a"]


def test_a_lock_held_too_long_is_unavailable_and_retryable(
    index: DocumentIndex, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "LOCK_SECONDS", 0.05)
    index.put(document("a"))
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with DocumentIndexes(path) as (other,):
            with pytest.raises(Unavailable) as caught:
                other.put(document("b"))
            assert caught.value.retryable
            assert names(other) == ["a"]
        holder.execute("ROLLBACK")
    index.put(document("b"))
    assert names(index) == ["a", "b"]


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with DocumentIndexes(tmp_path / "file" / "index.sqlite") as (index,), pytest.raises(Unavailable):
        index.put(document("a"))


def test_a_failing_put_leaves_nothing_behind(index: DocumentIndex) -> None:
    index.put(document("a"))
    broken = IndexedDocument("ada/b.md", "ada", "notes", "b", "", "t", "", (), "alpha", (2**70, 1), "2026-01-01")
    with pytest.raises(OverflowError):
        index.put(document("c"), broken)
    assert names(index) == ["a"]
    index.put(document("c"))
    assert names(index) == ["a", "c"]


def test_threads_of_one_index_put_and_search_at_once(index: DocumentIndex) -> None:
    failures: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for n in range(PUTS):
                index.put(document(f"{thread}_{n}", f"alpha w{thread}"))
                assert f"{thread}_{n}" in names(index, f"w{thread}")
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert index.counts("ada") == {"notes": 8 * PUTS}


WRITER = """
import sys, threading
from pathlib import Path
from argosy_core.clock import SystemClock
from argosy_core.index import DocumentIndex, IndexedDocument

index = DocumentIndex(Path(sys.argv[1]), clock=SystemClock())
number, threads, puts = (int(text) for text in sys.argv[2:5])
def write(thread):
    for n in range(puts):
        name = f"{number}_{thread}_{n}"
        agent = ("ada", "bob")[n % 2]
        rest = ("", "t", "", (), name, (1, 1), "2026-01-01")
        index.put(IndexedDocument(f"{agent}/{name}.md", agent, "notes", name, *rest))
        index.put(IndexedDocument("ada/shared.md", "ada", "notes", "shared", *rest))
        if "delete" in sys.argv and number == 0 and thread == 0 and n in (5, 25):
            Path(sys.argv[1]).unlink(missing_ok=True)
running = [threading.Thread(target=write, args=(n,)) for n in range(threads)]
[each.start() for each in running]
[each.join() for each in running]
index.close()
"""


def run_writers(path: Path, *options: str) -> list[str]:
    """What the processes had to say on their error streams."""
    environment = {**os.environ, "PYTHONPATH": str(SHARED)}
    arguments = [sys.executable, "-W", "error", "-c", WRITER, str(path)]
    numbers = [[str(number), str(THREADS), str(PUTS), *options] for number in range(PROCESSES)]
    writers = [
        subprocess.Popen([*arguments, *each], env=environment, stderr=subprocess.PIPE, text=True) for each in numbers
    ]
    return [writer.communicate(timeout=45)[1] for writer in writers]


def test_processes_that_put_at_the_same_time_lose_nothing(path: Path, index: DocumentIndex) -> None:
    assert run_writers(path) == [""] * PROCESSES
    each = PROCESSES * THREADS * PUTS // 2
    assert index.counts("ada") == {"notes": each + 1}
    assert index.counts("bob") == {"notes": each}
    assert len(index.stamps("ada", "notes")) == each + 1
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for (number,) in connection.execute("SELECT number FROM agents").fetchall():
            connection.execute(f"INSERT INTO fts_{number} (fts_{number}) VALUES ('integrity-check')")


def test_a_file_deleted_again_and_again_under_many_writers_stops_nobody(path: Path, index: DocumentIndex) -> None:
    assert run_writers(path, "delete") == [""] * PROCESSES
    index.put(document("last"))
    assert names(index) == ["last"]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_closing_leaves_no_connection_open(path: Path) -> None:
    index = DocumentIndex(path, clock=SystemClock())
    threads = [threading.Thread(target=lambda n=n: index.put(document(f"n{n}"))) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    index.close()
    held = (
        {os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()}
        if Path("/proc/self/fd").exists()
        else set()
    )
    assert not {name for name in held if name.startswith(str(path))}
    assert not path.with_name("index.sqlite-wal").exists()
