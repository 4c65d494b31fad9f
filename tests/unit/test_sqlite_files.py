"""Any sequence of calls does to documents in a database what it does to a vault on disk; logs are files there too."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from argosy_core.clock import SystemClock
from argosy_core.content import FileInfo
from argosy_core.errors import AlreadyExists, ArgosyError, Conflict, NotFound, PermissionDenied
from argosy_core.ids import SystemIds
from argosy_core.storage.base import ABSENT, ANY, NewItem
from argosy_core.storage.logged import Telling
from argosy_core.storage.sqlite.store import SqliteStore
from argosy_core.testing.fakes import FakeClock, SeededIds
from argosy_core.vault import Vault

DAY = "harbor/log/2025-03/2025-03-01.jsonl"
QUIET = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PATHS = [
    "a.md",
    "m/a.md",
    "m/a-b.md",
    "m/a/z.md",
    "m/a/.hid.md",
    "m/.x/b.md",
    "m/a.txt",
    "m0.md",
    "m-/q.md",
    "日/本.md",
]
FOLDERS = ["", "m", "m/a", "m/.x", "m-", "日", "none", "m/.versions/a"]


def opened(root: Path, **more: Any) -> SqliteStore:
    return SqliteStore(root / "fleet.sqlite", root, more.get("clock", SystemClock()), SystemIds())


@pytest.fixture
def store(tmp_path: Path) -> Any:
    store = opened(tmp_path)
    yield store
    store.close()


def _sizes(infos: Iterable[FileInfo]) -> list[tuple[str, int]]:
    return sorted((info.path, info.stamp[1]) for info in infos)


class Twins(RuleBasedStateMachine):
    """A vault on disk and a database, to which the same is done."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        (self.root / "vault").mkdir()
        self.clock = FakeClock()
        # Both name kept versions by this clock; the vault waits for its locks by it too, and nobody else holds them.
        self.vault = Vault(self.root / "vault", clock=self.clock, ids=SeededIds())
        self.store = opened(self.root, clock=self.clock)
        self.versions: dict[str, str] = {}

    def teardown(self) -> None:
        self.store.close()
        self.vault.close()
        shutil.rmtree(self.root)

    def both(self, call: Callable[[Any], Any]) -> Any:
        outcomes = [self.outcome(call, files) for files in (self.vault, self.store.files)]
        assert outcomes[0] == outcomes[1]
        return outcomes[0]

    def outcome(self, call: Callable[[Any], Any], files: Any) -> Any:
        try:
            return call(files)
        except ArgosyError as error:
            return type(error), error.detail.get("version")

    @rule(
        path=st.sampled_from(PATHS), data=st.binary(max_size=3), keep=st.booleans(), how=st.sampled_from("any old new")
    )
    def write(self, path: str, data: bytes, keep: bool, how: str) -> None:
        self.clock.advance(0.001)
        expect = {"a": ANY, "o": self.versions.get(path, "0" * 64), "n": ABSENT}.get(how, ANY)

        def write(files: Any) -> Any:
            return files.replace(path, data, expect=expect, keep_version=keep).version

        found = self.both(write)
        if isinstance(found, str):
            self.versions[path] = found

    @rule(path=st.sampled_from(PATHS), is_old=st.booleans())
    def remove(self, path: str, is_old: bool) -> None:
        expect = self.versions.get(path, "0" * 64) if is_old else ANY
        self.both(lambda files: files.remove(path, expect=expect))

    @rule(path=st.sampled_from(PATHS), offset=st.integers(0, 4), size=st.sampled_from([None, 0, 1, 9]))
    def read(self, path: str, offset: int, size: int | None) -> None:
        self.both(lambda files: files.read(path).data)
        self.both(lambda files: files.read_from(path, offset, size))
        self.both(lambda files: (found := files.info(path)) and found.stamp[1])

    @rule(folder=st.sampled_from(FOLDERS), suffix=st.sampled_from(["", ".md", "d"]))
    def list_files(self, folder: str, suffix: str) -> None:
        self.both(lambda files: [(info.path, info.stamp[1]) for info in files.files(folder, suffix)])
        for deep in (True, False):
            self.both(lambda files, deep=deep: _sizes(files.walk(folder, suffix, deep=deep)))

    @invariant()
    def folders_with_something_in_them_are_the_same(self) -> None:
        for folder in FOLDERS:
            # A folder that became empty stays on a disk.
            full = [name for name in self.vault.folders(folder) if self.has_files(f"{folder}/{name}".lstrip("/"))]
            assert self.store.files.folders(folder) == full

    def has_files(self, folder: str) -> bool:
        return any(path.is_file() for path in (self.root / "vault" / folder).rglob("*"))


TestTwins = Twins.TestCase
TestTwins.settings = settings(max_examples=10, stateful_step_count=20, deadline=None)


LINES = st.lists(
    st.one_of(
        st.sampled_from([b"", b"\r", b"not json", b"{}", b'{"ts":"2025-03-01T00:00:00Z","n":1}', b"\xff\xfe"]),
        st.binary(max_size=12),
    ),
    max_size=8,
).map(b"\n".join)


@given(data=LINES, offset=st.integers(0, 40), size=st.integers(0, 40))
@QUIET
def test_a_day_that_is_put_in_is_read_at_any_place_byte_for_byte(data: bytes, offset: int, size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = opened(Path(folder))
        asyncio.run(store.archive.write(DAY, data))
        assert asyncio.run(store.archive.read(DAY)) == data
        assert store.files.read(DAY).data == data
        assert store.files.read_from(DAY, offset, size) == data[offset : offset + size]
        [info] = store.files.files("harbor/log/2025-03", ".jsonl")
        assert (info.path, info.stamp[1]) == (DAY, len(data))
        store.close()


@pytest.mark.anyio
async def test_an_entry_after_a_line_without_an_end_begins_a_line_of_its_own(tmp_path: Path) -> None:
    store = opened(tmp_path, clock=FakeClock())
    today = "harbor/log/2026-11/2026-11-20.jsonl"
    await store.archive.write(today, b'{"old": 1}')
    position = (await store.chain.read_on("harbor")).position
    entry = await store.chain.append("harbor", "w", {"n": 1})
    lines = store.files.read(today).data.split(b"\n")
    assert (lines[0], len(lines), lines[2]) == (b'{"old": 1}', 3, b"")
    assert entry.seq == 1
    report = await store.chain.verify("harbor")
    assert (report.entries, report.unchained, report.findings) == (1, 1, ())
    piece = await store.chain.read_on("harbor", position)
    assert len(piece.lines) + 2 * piece.is_anew in (1, 2, 4)
    store.close()


@pytest.mark.anyio
async def test_a_log_that_travels_goes_on_with_its_numbers_and_keys(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    clock = FakeClock()
    one, two = opened(tmp_path / "one", clock=clock), opened(tmp_path / "two", clock=clock)
    one.files.replace("harbor/model.md", b"# MODEL\n")
    entries = []
    for number in range(6):
        entries.append(await one.chain.append("harbor", "w", {"n": number}, key=f"k{number}"))
        clock.advance(86_400)
    for path in sorted(await one.archive.paths(), reverse=True):  # days in any order
        await two.archive.write(path, await one.archive.read(path))
    assert await two.chain.heads() == await one.chain.heads()
    assert await two.chain.append("harbor", "w", {"n": 3}, key="k3") == entries[3]
    assert (await two.chain.append("harbor", "w", {"n": 9})).seq == 7
    assert (await two.chain.verify()).findings == ()
    one.close()
    two.close()


@pytest.mark.anyio
async def test_days_of_logs_and_items_are_written_by_their_own_calls_alone(store: SqliteStore) -> None:
    await store.archive.write(DAY, b"{}\n")
    item, _ = await store.items.enqueue(NewItem("runs", {"n": 1}))
    for path in (DAY, "reef/log/2025-03/2025-03-01.jsonl", f"_fleet/queue/runs/ready/{item.id}.json"):
        with pytest.raises(PermissionDenied):
            await store.documents.write(path, b"x")
        with pytest.raises(PermissionDenied):
            await store.documents.remove(path)
    with pytest.raises(AlreadyExists):
        await store.archive.write(DAY, b"other")
    assert store.files.read(DAY).data == b"{}\n"


def test_what_no_disk_could_hold_is_refused(store: SqliteStore) -> None:
    store.files.replace("harbor/memory/a.md", b"x")
    for path in ("harbor", "harbor/memory", "harbor/memory/a.md/b.md", "harbor/memory/a.md/b/c.md"):
        with pytest.raises(PermissionDenied):
            store.files.replace(path, b"x")


def test_a_document_made_again_has_a_newer_stamp_though_no_time_passed(tmp_path: Path) -> None:
    store = opened(tmp_path, clock=FakeClock())
    stamps = []
    for number in range(5):
        stamps.append(store.files.replace("harbor/a.md", b"%d" % number).stamp)
        store.files.remove("harbor/a.md")
    assert stamps == sorted(set(stamps))
    store.close()


@pytest.mark.anyio
async def test_of_two_files_of_one_item_the_newer_is_taken(store: SqliteStore) -> None:
    await store.archive.write("_fleet/queue/q/ready/it.json", b'{"payload": {"n": 1}, "revision": 2}')
    await store.archive.write("_fleet/queue/q/done/it.json", b'{"payload": {"n": 1}, "revision": 3}')
    await store.archive.write("_fleet/queue/q/held/it.json", b'{"payload": {"n": 1}, "revision": 1}')
    assert (await store.items.get("it")).state == "done"
    assert await store.archive.paths() == ["_fleet/queue/q/done/it.json"]


@pytest.mark.anyio
async def test_a_broken_item_that_was_put_in_is_named_and_stops_nobody(store: SqliteStore) -> None:
    await store.archive.write("_fleet/queue/q/ready/mine.json", b'{"payload":\n  {"n": 9},,\n}')
    await store.items.enqueue(NewItem("q", {"n": 1}))
    [item] = await store.items.claim("q", "w", 30, 5)
    assert item.payload == {"n": 1}
    [problem] = await store.items.problems()
    assert problem.id == "mine" and "ready/mine.json line 2" in (problem.problem or "")
    assert [i.problem for i in (await store.items.list("q"))[0] if i.id == "mine"] == [problem.problem]
    assert await store.archive.read("_fleet/queue/q/ready/mine.json") == b'{"payload":\n  {"n": 9},,\n}'


@pytest.mark.anyio
async def test_a_document_and_the_event_that_tells_of_it_are_written_together_or_not_at_all(
    store: SqliteStore,
) -> None:
    first = Telling("harbor", "memory", lambda content: {"version": content.version}, key="k")
    written = await store.write_logged("harbor/memory/a.md", b"one", first, expect=ABSENT)
    [line] = [line async for line in store.chain.scan("harbor")]
    assert line["version"] == written.version
    commits: list[str] = []
    store.database._writer.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    await store.write_logged("harbor/memory/b.md", b"two", replace(first, key="other"))
    assert commits == ["COMMIT"]
    for path, telling, kind in (
        ("harbor/memory/c.md", first, Conflict),  # the key told of another document
        ("harbor/memory/c.md", replace(first, stream="nobody"), NotFound),
        ("harbor/memory/a.md", replace(first, key="third"), AlreadyExists),
    ):
        with pytest.raises(kind):
            await store.write_logged(path, b"three", telling, expect=ABSENT)
    assert [info.path for info in store.files.files("harbor/memory")] == ["harbor/memory/a.md", "harbor/memory/b.md"]
    assert (await store.chain.verify("harbor")).entries == 2


def test_an_append_may_be_made_off_the_event_loop(store: SqliteStore) -> None:
    store.files.replace("harbor/model.md", b"x")
    entry = store.chain.append_here("harbor", "w", {"n": 1}, key="k")
    assert store.chain.append_here("harbor", "w", {"n": 1}, key="k") == entry
    with pytest.raises(Conflict):
        store.chain.append_here("harbor", "w", {"n": 2}, key="k")


@pytest.mark.anyio
async def test_a_record_that_somebody_spoiled_is_named_and_stops_nobody(store: SqliteStore) -> None:
    made = [(await store.items.enqueue(NewItem("q", {"n": n}, conflict_keys=["k"] * (n != 1))))[0] for n in range(3)]
    assert [item.id for item in await store.items.claim("q", "w", 30)] == [made[0].id]
    for number, record in ((0, b"{not json"), (1, b'{"payload": 3}')):
        store.database.write(
            lambda t, n=number, r=record: t.connection.execute(
                "UPDATE items SET record = ? WHERE id = ?", (r, made[n].id)
            )
        )
    assert [problem.id for problem in await store.items.problems()] == [made[0].id]
    [item] = await store.items.claim("q", "w", 30, 5)
    assert item.id == made[2].id
    assert {problem.id for problem in await store.items.problems("q")} == {made[0].id, made[1].id}
    assert len((await store.items.list("q"))[0]) == 3
    assert [len(await store.items.drain("q", "closing")), (await store.items.get(item.id)).state] == [0, "leased"]


def test_one_store_serves_several_event_loops_at_once(store: SqliteStore) -> None:
    store.files.replace("harbor/model.md", b"x")

    async def work(name: str) -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(store.documents.write, f"harbor/{name}{number}.md", b"x")
                tasks.start_soon(store.chain.append, "harbor", name, {"n": number})

    threads = [threading.Thread(target=anyio.run, args=(work, name)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.files.files("harbor")) == 31
    assert {name: head[0] for name, head in store.chain._heads_of("harbor").items()} == dict.fromkeys("abc", 10)
