"""The reader over day files: order, pages, positions, damage."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy_core.errors import InvalidArgument
from argosy_core.serving.results import encode_cursor
from argosy_core.storage.base import Content
from argosy_core.storage.files.documents import FileDocuments
from argosy_core.vault import Vault
from argosy_log import day_files
from argosy_log.day_files import DayFiles
from argosy_log.events import LogEvent, Scope
from argosy_log.query import Query, build_query
from argosy_log.reader import Found

pytestmark = pytest.mark.anyio
ALL = Scope(("ann", "bob"))
RUN = "run-20261120-090000-000000-0a0b0c0d"


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    opened = Vault(tmp_path)
    yield opened
    opened.close()


def write(vault: Vault, stream: str, day: str, lines: Sequence[object]) -> str:
    path = f"{stream}/log/{day[:7]}/{day}.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    vault.append(path, "".join(f"{text}\n" for text in texts).encode())
    return path


def reader(vault: Vault, piece: int = 64) -> DayFiles:
    return DayFiles(FileDocuments(vault), piece)


def ids(events: Sequence[LogEvent]) -> list[object]:
    return [event.fields.get("n") for event in events]


async def all_pages(files: DayFiles, query: Query, limit: int) -> list[LogEvent]:
    events: list[LogEvent] = []
    cursor: str | None = None
    while True:
        found: Found = await files.newest(query, limit, cursor)
        assert len(found.events) <= limit
        events += found.events
        cursor = found.cursor
        if cursor is None:
            return events


@settings(max_examples=60, deadline=None)
@given(
    lines=st.lists(
        st.tuples(st.sampled_from(["ann", "bob"]), st.integers(1, 3), st.integers(0, 59), st.integers(0, 300)),
        max_size=40,
    ),
    limit=st.integers(1, 12),
    piece=st.sampled_from([1, 7, 64, 4096]),
)
def test_pages_put_together_are_every_line_once_in_the_files_order(
    lines: list[tuple[str, int, int, int]], limit: int, piece: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        vault = Vault(folder)
        written: dict[tuple[str, int], list[int]] = {}
        for number, (stream, day, minute, size) in enumerate(lines):
            ts = f"2026-11-0{day}T09:{minute:02}:00Z"
            write(vault, stream, f"2026-11-0{day}", [{"ts": ts, "n": number, "x": "ü" * size}])
            written.setdefault((stream, day), []).append(number)
        found = anyio.run(all_pages, reader(vault, piece), Query(ALL), limit)
        vault.close()
    by_file: dict[tuple[str, int], list[object]] = {}
    for event in found:
        assert event.at is not None
        by_file.setdefault((event.stream, event.at.day), []).append(event.fields["n"])
    assert by_file == {key: numbers[::-1] for key, numbers in written.items()}
    assert [event.at.day for event in found if event.at] == sorted((d for _, d, _, _ in lines), reverse=True)


async def test_streams_stand_beside_each_other_by_time(vault: Vault) -> None:
    write(vault, "ann", "2026-11-20", [{"ts": f"2026-11-20T09:0{n}:00Z", "n": n} for n in (0, 2, 4)])
    write(vault, "bob", "2026-11-20", [{"ts": f"2026-11-20T10:0{n}:00+01:00", "n": n} for n in (1, 3)])
    found = await reader(vault).newest(Query(ALL), 10, None)
    assert ids(found.events) == [4, 3, 2, 1, 0]


async def test_a_line_without_a_time_keeps_its_place(vault: Vault) -> None:
    lines = [{"ts": "2026-11-20T09:00:00Z", "n": 0}, {"n": 1}, {"ts": "2026-11-20T09:05:00Z", "n": 2}]
    write(vault, "ann", "2026-11-20", lines)
    write(vault, "bob", "2026-11-20", [{"ts": "2026-11-20T09:02:00Z", "n": 9}])
    assert ids((await reader(vault).newest(Query(ALL), 10, None)).events) == [2, 1, 9, 0]


async def test_what_is_appended_meanwhile_neither_repeats_nor_hides_a_line(vault: Vault) -> None:
    write(vault, "ann", "2026-11-20", [{"n": n} for n in range(6)])
    files = reader(vault)
    first = await files.newest(Query(ALL), 2, None)
    write(vault, "ann", "2026-11-20", [{"n": 6}])
    write(vault, "bob", "2026-11-20", [{"n": 7}])
    second = await files.newest(Query(ALL), 10, first.cursor)
    assert ids(first.events) + ids(second.events) == [5, 4, 3, 2, 1, 0]


async def test_a_page_reads_no_more_than_it_needs(vault: Vault) -> None:
    write(vault, "ann", "2026-11-19", [{"n": n} for n in range(5000)])
    write(vault, "ann", "2026-11-20", [{"n": n} for n in range(5000)])
    counting = CountingDocuments(vault)
    files = DayFiles(counting, 1024)
    cursor, seen = None, 0
    for _ in range(10):
        found = await files.newest(Query(ALL), 20, cursor)
        cursor, seen = found.cursor, seen + len(found.events)
    assert seen == 200
    assert counting.bytes_read <= 10 * 2048
    assert not any("11-19" in path for path in counting.paths)


class CountingDocuments(FileDocuments):
    def __init__(self, vault: Vault) -> None:
        super().__init__(vault)
        self.bytes_read = 0
        self.paths: list[str] = []

    async def read_from(self, path: str, offset: int, max_bytes: int | None = None) -> bytes:
        data = await super().read_from(path, offset, max_bytes)
        self.bytes_read += len(data)
        self.paths.append(path)
        return data

    async def read(self, path: str) -> Content:
        raise AssertionError("a log is not read whole")


async def test_a_run_is_looked_for_from_its_own_day_on(vault: Vault) -> None:
    for day in ("2026-11-01", "2026-11-19", "2026-11-20", "2026-11-21"):
        write(vault, "ann", day, [{"run_id": RUN, "n": day}])
    counting = CountingDocuments(vault)
    found = await DayFiles(counting).newest(build_query(ALL, run=RUN), 10, None)
    assert ids(found.events) == ["2026-11-21", "2026-11-20", "2026-11-19"]
    assert not any("11-01" in path for path in counting.paths)


async def test_lines_longer_than_a_piece_are_read_whole(vault: Vault) -> None:
    write(vault, "ann", "2026-11-20", [{"n": 0}, {"n": 1, "x": "y" * 50_000}, {"n": 2}])
    found = await reader(vault, 16).newest(Query(ALL), 10, None)
    assert ids(found.events) == [2, 1, 0]


async def test_a_page_of_long_lines_is_bounded_by_its_bytes(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_files, "MAX_PAGE_BYTES", 100)
    write(vault, "ann", "2026-11-20", [{"n": n, "x": "y" * 60} for n in range(7)])
    files = reader(vault)
    first = await files.newest(Query(ALL), 50, None)
    assert ids(first.events) == [6, 5] and first.cursor
    assert ids(await all_pages(files, Query(ALL), 50)) == [6, 5, 4, 3, 2, 1, 0]


async def test_a_broken_line_is_named_and_the_rest_goes_on(vault: Vault) -> None:
    path = write(vault, "ann", "2026-11-20", [{"n": 0}, "{broken", {"n": 1}, "[]", ""])
    found = await reader(vault).newest(Query(ALL), 10, None)
    assert ids(found.events) == [1, 0]
    assert found.notes == (
        f"{path}:2 is not a JSON object and was left out",
        f"{path}:4 is not a JSON object and was left out",
    )


async def test_a_last_line_without_its_newline_counts_when_it_is_whole(vault: Vault) -> None:
    path = write(vault, "ann", "2026-11-20", [{"n": 0}])
    vault.append(path, b'{"n": 1}')
    assert ids(await all_pages(reader(vault), Query(ALL), 1)) == [1, 0]
    vault.append(path, b'\n{"n": 2, "tor')
    found = await reader(vault).newest(Query(ALL), 10, None)
    assert (ids(found.events), found.notes) == ([1, 0], ())


async def test_other_files_beside_the_days_are_not_events(vault: Vault) -> None:
    write(vault, "ann", "2026-11-20", [{"n": 0}])
    vault.append("ann/log/2026-11/notes.jsonl", b'{"n": 1}\n')
    vault.append("ann/log/export.jsonl", b'{"n": 2}\n')
    vault.append("ann/log/2026-11/2026-11-31.jsonl", b'{"n": 4, "run_id": "r"}\n')
    vault.append("ann/log/2026-11/2026-10-31.jsonl", b'{"n": 5, "run_id": "r"}\n')
    vault.append("ann/log/2026-11/20261101.jsonl", b'{"n": 6, "run_id": "r"}\n')
    vault.append("ann/log/old/2026-11-20.jsonl", b'{"n": 3}\n')
    assert ids((await reader(vault).newest(Query(ALL), 10, None)).events) == [0]
    assert (await reader(vault).run_tree(ALL, "r")).events == ()


async def test_a_cursor_opens_no_other_stream(vault: Vault) -> None:
    write(vault, "bob", "2026-11-20", [{"n": 0}])
    found = await reader(vault).newest(Query(Scope(("ann",))), 10, encode_cursor("2026-11-20", {"bob": 99}))
    assert found.events == ()


@pytest.mark.parametrize(
    "cursor",
    ["x", encode_cursor(1), encode_cursor(1, 2), encode_cursor("d", {"a": -1}), encode_cursor("d", {"a": True})],
)
async def test_a_cursor_that_is_not_ours_is_refused(vault: Vault, cursor: str) -> None:
    with pytest.raises(InvalidArgument):
        await reader(vault).newest(Query(ALL), 10, cursor)


async def test_a_position_beyond_the_file_is_its_end(vault: Vault) -> None:
    write(vault, "ann", "2026-11-20", [{"n": 0}])
    found = await reader(vault).newest(Query(ALL), 10, encode_cursor("2026-11-20", {"ann": 10**12}))
    assert ids(found.events) == [0]


# Runs


def start(run: str, parent: str | None = None) -> dict[str, object]:
    return {"kind": "run.start", "run_id": run, "parent_run_id": parent, "writer": "host", "seq": 1, "hash": "h"}


def end(run: str, status: str = "ok") -> dict[str, object]:
    return {"kind": "run.end", "run_id": run, "status": status, "writer": "host", "seq": 2, "hash": "h"}


async def test_a_run_tree_is_found_over_streams_and_midnight(vault: Vault) -> None:
    child, grandchild = "run-20261120-235959-000000-00000001", "run-20261121-000001-000000-00000002"
    write(vault, "bob", "2026-11-20", [start(RUN), start(child, RUN)])
    write(vault, "ann", "2026-11-21", [start(grandchild, child), end(grandchild)])
    write(vault, "bob", "2026-11-21", [end(child), end(RUN)])
    found = await reader(vault).run_tree(ALL, RUN)
    assert {event.run for event in found.events} == {RUN, child, grandchild}
    assert len(found.events) == 6


async def test_reading_stops_when_a_run_is_over_and_a_day_went_by_without_it(vault: Vault) -> None:
    write(vault, "ann", "2026-11-20", [start(RUN), end(RUN)])
    write(vault, "ann", "2026-11-21", [{"kind": "memory.write", "run_id": RUN, "n": "late"}])
    write(vault, "ann", "2026-11-22", [{"n": "foreign"}])
    write(vault, "ann", "2026-11-23", [{"run_id": RUN, "n": "much too late"}])
    counting = CountingDocuments(vault)
    found = await DayFiles(counting).run_tree(ALL, RUN)
    assert ids(found.events) == [None, None, "late"]
    assert not any("11-23" in path for path in counting.paths)


async def test_a_deferred_run_is_followed_until_it_went_on(vault: Vault) -> None:
    write(vault, "ann", "2026-11-20", [start(RUN), end(RUN, "deferred")])
    write(vault, "ann", "2026-11-29", [start(RUN), end(RUN)])
    assert len((await reader(vault).run_tree(ALL, RUN)).events) == 4


async def test_an_unknown_run_costs_three_days_not_the_whole_log(vault: Vault) -> None:
    days = [date(2026, month, 1).isoformat() for month in range(1, 13)] + ["2026-11-20"]
    for day in days:
        write(vault, "ann", day, [{"n": day}])
    counting = CountingDocuments(vault)
    assert (await DayFiles(counting).run_tree(ALL, RUN)).events == ()
    assert {path[-16:-6] for path in counting.paths} <= {"2026-11-20"}


async def test_a_run_whose_id_says_nothing_is_looked_for_everywhere(vault: Vault) -> None:
    write(vault, "ann", "2025-01-01", [{"run_id": "nightly", "status": "ok", "n": 1}])
    write(vault, "ann", "2026-11-20", [{"run_id": "imported-2024-01-01", "n": 2}])
    assert ids((await reader(vault).run_tree(ALL, "nightly")).events) == [1]
    assert ids((await reader(vault).run_tree(ALL, "imported-2024-01-01")).events) == [2]


async def test_a_run_too_large_to_show_says_so(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_files, "MAX_RUN_EVENTS", 10)
    write(vault, "ann", "2026-11-20", [start(RUN), *({"run_id": RUN, "n": n} for n in range(20))])
    found = await reader(vault).run_tree(ALL, RUN)
    assert len(found.events) == 10 and "too large" in found.notes[0]


async def test_lines_of_a_day_are_counted(vault: Vault) -> None:
    write(vault, "ann", "2026-11-20", [{"n": 0}, {"n": 1}])
    path = write(vault, "bob", "2026-11-20", [{"n": 2}])
    vault.append(path, b'{"n": 3}')
    assert await reader(vault).count(["ann", "bob", "nobody"], date(2026, 11, 20)) == 4
    assert await reader(vault).count(["ann"], date(2026, 11, 21)) == 0
