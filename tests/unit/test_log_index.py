"""The event index: what it answers is what reading all lines answers, whatever happens to files and index."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy_core.clock import Clock, SystemClock, parse_time
from argosy_core.errors import Unavailable
from argosy_core.ids import SystemIds
from argosy_core.storage.files.store import FileStore
from argosy_core.testing.fakes import FakeClock
from argosy_core.vault import Vault
from argosy_log import event_pages
from argosy_log.aggregation import Sought, answer, ordered, span_of, with_runs
from argosy_log.day_files import DayFiles
from argosy_log.event_feed import take
from argosy_log.event_index import EventIndex
from argosy_log.event_pages import newest_page, run_family
from argosy_log.event_sql import EVENTS
from argosy_log.events import LogEvent, Scope, read_line
from argosy_log.indexed_events import BUILDING, IndexedEvents
from argosy_log.query import Query, build_query
from argosy_log.reader import Found

pytestmark = pytest.mark.anyio
ALL = Scope(("_fleet", "ann", "bob"))
SLOW = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)  # a busy machine is no fault of the log
RUN = "run-20261120-090000-000000-0a0b0c0d"


class Place:
    """A vault with an index over it; more indexes on the same file are other processes."""

    def __init__(self, root: Path, clock: Clock | None) -> None:
        self.root = root
        for name in ("ann", "bob"):
            (root / name).mkdir(exist_ok=True)
        self.clock: Clock = clock or FakeClock(datetime(2026, 11, 20, 9, 0, tzinfo=UTC))
        self.store = FileStore(Vault(root), self.clock, SystemIds())
        self.index = EventIndex(self.store, self.clock)

    def other(self) -> EventIndex:
        return EventIndex(self.store, self.clock)

    def put(self, stream: str, day: str, lines: Sequence[object]) -> Path:
        path = self.root / stream / "log" / day[:7] / f"{day}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        return path

    async def append(self, stream: str, kind: str, **fields: Any) -> None:
        await self.store.chain.append(stream, "host", {"kind": kind, **fields})

    async def page(self, query: Query, limit: int = 500, cursor: str | None = None) -> Found:
        found, is_complete = await self.index.ask_fresh(
            query.scope.streams, lambda db: newest_page(db, query, limit, cursor)
        )
        assert is_complete
        return found

    async def numbers(
        self, scope: Scope, *by: Any, measure: Any = "count", stat: Any = "sum", **span: str
    ) -> dict[Any, Any]:
        asked = build_query(scope, **span)
        sought = Sought(scope, measure, stat, by, *span_of(asked.since, asked.until))

        def work(db: sqlite3.Connection) -> dict[Any, Any]:
            groups = ordered(answer(db, sought), by)
            return {key: group.value for key, (_, group) in zip(with_runs(db, groups, by), groups, strict=True)}

        return (await self.index.ask_fresh(scope.streams, work))[0]


@asynccontextmanager
async def place(root: Path, clock: Clock | None = None) -> AsyncGenerator[Place]:
    made = Place(root, clock)
    try:
        yield made
    finally:
        await made.index.close()
        made.index.close_file()
        made.store.close()


def texts(found: Found) -> list[Any]:
    return [event.fields.get("n") for event in found.events]


async def test_what_anybody_appended_is_found_at_once_and_once(tmp_path: Path) -> None:
    async with place(tmp_path) as vault:
        other = vault.other()
        for number in range(5):
            await vault.append("ann", "tool", n=number)
            for index in (vault.index, other):
                vault.index, kept = index, vault.index
                assert texts(await vault.page(Query(ALL))) == list(range(number, -1, -1))
                vault.index = kept
        other.close_file()


async def test_several_indexes_on_one_file_feed_it_together(tmp_path: Path) -> None:
    async with place(tmp_path, SystemClock()) as vault:  # waiting for another's lock takes real time
        vault.put("ann", "2026-05-06", [{"ts": "2026-05-06T01:00:00Z", "n": n} for n in range(3000)])
        others = [vault.other() for _ in range(3)]
        async with anyio.create_task_group() as tasks:
            for index in (vault.index, *others):
                tasks.start_soon(index.freshen, ("ann",))
        for index in (vault.index, *others):
            await index.caught_up()
        assert await vault.numbers(ALL) == {(): 3000}
        for index in others:
            index.close_file()


async def test_a_question_costs_no_reading_of_what_is_indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with place(tmp_path) as vault:
        await vault.append("ann", "tool", n=1)
        await vault.page(Query(ALL))
    async with place(tmp_path) as vault:
        monkeypatch.setattr("argosy_log.event_feed.read_line", None)  # nothing is taken in anew
        assert texts(await vault.page(Query(ALL))) == [1]


@pytest.mark.parametrize("harm", ["deleted", "garbage", "foreign", "empty", "cut"])
async def test_an_index_that_is_lost_is_made_anew(tmp_path: Path, harm: str) -> None:
    async with place(tmp_path) as vault:
        for number in range(200):
            await vault.append("ann", "tool", n=number, text="x" * 200)
        assert len((await vault.page(Query(ALL))).events) == 200
        file = tmp_path / ".argosy/log.sqlite"
        if harm == "cut":
            vault.index.close_file()
            vault.index = vault.other()
        for ending in ("-wal", "-shm"):
            Path(f"{file}{ending}").unlink(missing_ok=True)
        if harm == "foreign":
            file.unlink()
            with sqlite3.connect(file) as db:
                db.execute("CREATE TABLE theirs (x)")
            db.close()
        elif harm == "deleted":
            file.unlink()
        else:
            data = file.read_bytes()
            file.unlink()
            file.write_bytes({"garbage": b"no database" * 900, "empty": b"", "cut": data[: len(data) // 2]}[harm])
        await vault.append("ann", "tool", n=200)
        assert len((await vault.page(Query(ALL))).events) == 201
        assert await vault.numbers(ALL) == {(): 201}


async def test_an_index_of_another_version_is_made_anew(tmp_path: Path) -> None:
    async with place(tmp_path) as vault:
        await vault.append("ann", "tool", n=1)
        await vault.page(Query(ALL))
    with sqlite3.connect(tmp_path / ".argosy/log.sqlite") as db:
        assert db.execute("PRAGMA application_id").fetchone() == (EVENTS.application_id,)
        db.execute("PRAGMA user_version = 0")
    db.close()
    async with place(tmp_path) as vault:
        assert texts(await vault.page(Query(ALL))) == [1]


async def test_edits_of_any_day_are_followed(tmp_path: Path) -> None:
    async with place(tmp_path) as vault:
        days = [f"2026-05-0{n}" for n in range(1, 5)]
        lines = {
            day: [{"ts": f"{day}T0{h}:00:00Z", "n": f"{day[-1]}{h}", "cost_usd": 1} for h in range(5)] for day in days
        }
        files = {day: vault.put("ann", day, lines[day]) for day in days}

        async def check() -> None:
            wanted = [line["n"] for day in sorted(lines, reverse=True) for line in reversed(lines[day])]
            assert texts(await vault.page(Query(ALL))) == wanted
            assert await vault.numbers(ALL, measure="cost_usd") == ({(): len(wanted)} if wanted else {})

        await check()
        lines[days[1]][2]["n"] = "xx"  # as long as it was
        vault.put("ann", days[1], lines[days[1]])
        await check()
        lines[days[3]][0]["n"] = "yy"  # in the newest file, as long as it was
        vault.put("ann", days[3], lines[days[3]])
        await check()
        del lines[days[0]][3:]
        vault.put("ann", days[0], lines[days[0]])
        await check()
        lines[days[2]].insert(0, {"ts": f"{days[2]}T00:00:00Z", "n": "new", "cost_usd": 1})
        vault.put("ann", days[2], lines[days[2]])
        await check()
        files[days[1]].unlink()
        del lines[days[1]]
        await check()
        shutil.rmtree(tmp_path / "ann/log")
        lines.clear()
        await check()


async def test_a_text_is_looked_for_a_bounded_way_and_the_cursor_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_pages, "MAX_SCANNED", 10)
    async with place(tmp_path) as vault:
        vault.put(
            "ann",
            "2026-05-06",
            [{"ts": "2026-05-06T01:00:00Z", "n": n, "t": "Füße" if n == 3 else "x"} for n in range(35)],
        )
        query = build_query(ALL, text="FÜSSE")
        seen, cursor, pages = list[Any](), None, 0
        while True:
            found = await vault.page(query, 5, cursor)
            seen, cursor, pages = seen + texts(found), found.cursor, pages + 1
            if cursor is None:
                break
            assert "looked through 10 events" in found.notes[-1]
        assert (seen, pages) == ([3], 4)


async def test_while_the_index_is_built_the_day_files_answer_and_say_so(tmp_path: Path) -> None:
    async with place(tmp_path) as vault:
        vault.put("ann", "2026-05-06", [{"ts": "2026-05-06T01:00:00Z", "n": n, "x": "y" * 400} for n in range(9000)])
        ticking = EventIndex(vault.store, Ticking())
        reader = IndexedEvents(ticking, DayFiles(vault.store.documents))
        found = await reader.newest(Query(ALL), 3, None)
        assert (texts(found), found.notes[0]) == ([8999, 8998, 8997], BUILDING)
        on = await reader.newest(Query(ALL), 2, found.cursor)
        assert texts(on) == [8996, 8995]
        await ticking.caught_up()
        whole = await reader.newest(Query(ALL), 3, None)
        assert (texts(whole), whole.notes) == ([8999, 8998, 8997], ())
        await ticking.close()
        ticking.close_file()


class Ticking(FakeClock):
    """Each look at it finds a second gone."""

    def monotonic(self) -> float:
        self.advance(1)
        return super().monotonic()


async def test_a_vault_that_cannot_be_written_to_is_read_from_its_files(tmp_path: Path) -> None:
    async with place(tmp_path) as vault:
        vault.put("ann", "2026-05-06", [{"ts": "2026-05-06T01:00:00Z", "n": 1}])
        (tmp_path / ".argosy/log.sqlite").mkdir(parents=True)
        reader = IndexedEvents(vault.index, DayFiles(vault.store.documents))
        found = await reader.newest(Query(ALL), 3, None)
        assert (texts(found), found.notes) == ([1], (BUILDING,))
        assert await reader.count(("ann",), datetime(2026, 5, 6, tzinfo=UTC).date()) == 1


async def test_where_nothing_can_be_kept_the_day_files_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> Path:
        raise PermissionError(13, "Permission denied")

    async with place(tmp_path) as vault:
        vault.put("ann", "2026-05-06", [{"ts": "2026-05-06T01:00:00Z", "n": 1, "run_id": RUN}])
        monkeypatch.setattr(vault.store, "state_path", refuse)
        reader = IndexedEvents(vault.index, DayFiles(vault.store.documents))
        assert texts(await reader.newest(Query(ALL), 3, None)) == [1]
        assert texts(await reader.run_tree(ALL, RUN)) == []  # its day is another
        with pytest.raises(Unavailable, match="cannot be kept"):
            await vault.numbers(ALL)


async def test_an_index_that_another_process_makes_anew_is_not_taken_for_whole(tmp_path: Path) -> None:
    async with place(tmp_path, SystemClock()) as vault:
        vault.put("ann", "2026-05-06", [{"ts": "2026-05-06T01:00:00Z", "n": n, "x": "y" * 500} for n in range(5000)])
        while not await vault.index.freshen(("ann",)):
            await vault.index.caught_up()
        for ending in ("", "-wal", "-shm"):
            (tmp_path / f".argosy/log.sqlite{ending}").unlink(missing_ok=True)
        other = vault.other()
        piece = await vault.store.chain.read_on("ann", "", 100_000)
        await other.tell(lambda db: take(db, "ann", "", piece))
        other.close_file()
        answers = [await vault.index.ask_fresh(("ann",), lambda db: newest_page(db, Query(ALL), 1, None))]
        while not answers[-1][1]:
            await vault.index.caught_up()
            answers.append(await vault.index.ask_fresh(("ann",), lambda db: newest_page(db, Query(ALL), 1, None)))
        assert texts(answers[-1][0]) == [4999]


async def test_a_huge_line_and_a_torn_one_stop_nothing(tmp_path: Path) -> None:
    async with place(tmp_path) as vault:
        path = vault.put("ann", "2026-05-06", [{"n": 1, "t": "x" * 3_000_000}, "[" * 50_000, '{"n": 1e999, "ts": 5}'])
        with path.open("ab") as file:
            file.write(b'{"n": 3, "torn')
        found = await vault.page(Query(ALL))
        assert len(found.events) == 2 and "ann/log/2026-05/2026-05-06.jsonl:2" in found.notes[0]
        with path.open("ab") as file:
            file.write(b'": 1}\n')
        assert texts(await vault.page(Query(ALL)))[0] == 3


async def test_cost_and_tokens_of_a_run_are_counted_once(tmp_path: Path) -> None:
    async with place(tmp_path) as vault:
        await vault.append("ann", "model.call", model="m", cost_usd=0.1, input_tokens=5, run_id=RUN)
        await vault.append("ann", "model.call", model="m", cost_usd=0.2, input_tokens=6, run_id=RUN)
        await vault.append("ann", "run.end", model="m", cost_usd=0.3, input_tokens=11, run_id=RUN, latency_ms=40)
        vault.put("bob", "2026-05-06", [{"ts": "2026-05-06T01:00:00Z", "model": "m", "cost_usd": 0.0975}])
        assert await vault.numbers(ALL, "model", measure="cost_usd") == {("m",): 0.3975}
        assert await vault.numbers(ALL, measure="input_tokens") == {(): 11}
        assert await vault.numbers(ALL, "run", measure="cost_usd") == {(RUN,): 0.3, (None,): 0.0975}
        assert await vault.numbers(ALL, measure="latency_ms", stat="p95") == {(): 40}


async def test_an_agent_counts_of_the_fleet_only_what_names_it(tmp_path: Path) -> None:
    async with place(tmp_path) as vault:
        await vault.append("_fleet", "goal.done", agent="ann")
        await vault.append("_fleet", "goal.done", agent="bob")
        await vault.append("_fleet", "goal.done", agent="x\nann\ny")
        assert await vault.numbers(Scope(("ann", "_fleet"), "ann"), "kind") == {("goal.done",): 1}


KINDS = ("tool", "model.call", "run.end", "memory.write")
LINES = st.fixed_dictionaries(
    {"kind": st.sampled_from(KINDS)},
    optional={
        "ts": st.datetimes(datetime(2026, 5, 1), datetime(2026, 5, 9)).map(lambda t: t.isoformat() + "Z"),
        "run_id": st.sampled_from((RUN, "r2", "r3")),
        "parent_run_id": st.sampled_from((RUN, "r2")),
        "status": st.sampled_from(("ok", "error")),
        "model": st.sampled_from(("a", "b")),
        "agent": st.sampled_from(("ann", "bob")),
        "cost_usd": st.integers(0, 10**9).map(lambda n: n / 10**6),
        "latency_ms": st.integers(0, 10**6),
        "text": st.text(max_size=5),
    },
)
DAYS = tuple(f"2026-05-0{n}" for n in range(3, 7))
EDITS = st.lists(
    st.tuples(st.sampled_from(ALL.streams), st.sampled_from(DAYS), st.lists(LINES | st.just("no json"), max_size=6)),
    min_size=1,
    max_size=5,
)
QUESTIONS = st.fixed_dictionaries(
    {},
    optional={
        "kinds": st.lists(st.sampled_from((*KINDS, "m*")), min_size=1, max_size=2),
        "run": st.sampled_from((RUN, "r2", "none")),
        "status": st.sampled_from(("ok", "error")),
        "since": st.sampled_from(("2026-05-04", "2026-05-05T10:30:00Z")),
        "until": st.sampled_from(("2026-05-05", "2026-05-06T23:59:59.999999Z")),
        "text": st.sampled_from(("o", "tool", "error", '"a"')),
    },
)


@settings(max_examples=12, deadline=None, suppress_health_check=SLOW)
@given(EDITS, QUESTIONS, st.sampled_from((ALL, Scope(("ann", "_fleet"), "ann"))))
async def test_the_index_answers_what_all_lines_answer(
    tmp_path_factory: pytest.TempPathFactory, edits: Any, asked: Any, scope: Scope
) -> None:
    root = tmp_path_factory.mktemp("index")
    async with place(root) as vault:
        held: dict[tuple[str, str], list[Any]] = {}
        for stream, day, lines in edits:
            held[stream, day] = lines
            vault.put(stream, day, lines)
            await vault.index.freshen(ALL.streams)
        events = every_event(held, scope)
        query = build_query(scope, **asked)
        wanted = [event for event in events if query.wants(event)]
        found: list[LogEvent] = []
        cursor = None
        while True:
            page = await vault.page(query, 2, cursor)
            found += page.events
            cursor = page.cursor
            if cursor is None:
                break
        assert sorted(map(repr, found)) == sorted(map(repr, wanted))
        await check_numbers(vault, scope, events, asked)


def every_event(held: dict[tuple[str, str], list[Any]], scope: Scope) -> list[LogEvent]:
    events: list[LogEvent] = []
    for (stream, _), lines in held.items():
        for line in lines:
            event = read_line(stream, json.dumps(line).encode()) if not isinstance(line, str) else None
            if event is not None and stream in scope.streams and scope.sees(event):
                events.append(event)
    return events


async def check_numbers(vault: Place, scope: Scope, events: list[LogEvent], asked: Any) -> None:
    span = {name: asked[name] for name in ("since", "until") if name in asked}
    query = build_query(scope, **span)
    inside = [event for event in events if query.wants(event)]
    for by in (("kind",), ("model", "day"), ("hour",), ("run", "status"), ()):
        sums: dict[Any, int] = defaultdict(int)
        counts: dict[Any, int] = defaultdict(int)
        for event in inside:
            key = tuple(key_of(event, name) for name in by)
            counts[key] += 1
            if (cost := event.number("cost_usd")) is not None:
                sums[key] += round(cost * 10**9)
        assert await vault.numbers(scope, *by, **span) == counts
        assert await vault.numbers(scope, *by, measure="cost_usd", **span) == {k: v / 10**9 for k, v in sums.items()}
    waits = sorted(latency for event in inside if (latency := event.number("latency_ms")) is not None)
    median = {(): waits[(len(waits) - 1) // 2]} if waits else {}
    assert await vault.numbers(scope, measure="latency_ms", stat="p50", **span) == median


def key_of(event: LogEvent, name: str) -> str | None:
    if name in ("day", "hour"):
        form = "%Y-%m-%d" if name == "day" else "%Y-%m-%dT%H:00Z"
        return event.at.strftime(form) if event.at else None
    return {"kind": event.kind, "run": event.run}.get(name, event.text(name))


async def test_percentiles_of_many_values_are_within_the_stated_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with place(tmp_path) as vault:
        values = [n * n % 7919 for n in range(600)]
        vault.put("ann", "2026-05-06", [{"ts": "2026-05-06T01:00:00Z", "latency_ms": v} for v in values])
        monkeypatch.setattr("argosy_log.aggregation.EXACT_VALUES", 10)

        async def check(values: Sequence[int], **span: str) -> None:
            for stat, percent in (("p50", 50), ("p95", 95), ("p99", 99)):
                (found,) = (await vault.numbers(ALL, measure="latency_ms", stat=stat, **span)).values()
                assert found == pytest.approx(sorted(values)[len(values) * percent // 100 - 1], rel=0.0201)

        await check(values)
        kept, added = values[:200], [n * 7 for n in range(400)]
        vault.put("ann", "2026-05-06", [{"ts": "2026-05-06T01:00:00Z", "latency_ms": v} for v in kept])
        vault.put("ann", "2026-05-07", [{"ts": "2026-05-07T01:00:00Z", "latency_ms": v} for v in added])
        await check([*kept, *added])
        await check(kept, until="2026-05-06")
        await check(added, since="2026-05-07T00:30:00Z")


async def test_a_runs_family_is_found_through_its_runs(tmp_path: Path) -> None:
    async with place(tmp_path) as vault:
        await vault.append("ann", "run.start", run_id=RUN, n=1)
        await vault.append("bob", "run.start", run_id="child", parent_run_id=RUN, n=2)
        await vault.append("bob", "tool", run_id="child", n=3)
        await vault.append("bob", "run.start", run_id="grandchild", parent_run_id="child", n=4)
        await vault.append("ann", "tool", run_id="stranger", n=5)
        found, _ = await vault.index.ask_fresh(ALL.streams, lambda db: run_family(db, ALL, RUN))
        assert texts(found) == [1, 2, 3, 4]


async def test_events_without_a_time_stand_beside_their_neighbours(tmp_path: Path) -> None:
    async with place(tmp_path) as vault:
        vault.put("ann", "2026-05-06", [{"ts": "2026-05-06T09:00:00Z", "n": 1}, {"n": 2}, {"ts": "2099-01-01", "n": 3}])
        vault.put("bob", "2026-05-06", [{"ts": "2026-05-06T09:30:00Z", "n": 4}])
        assert texts(await vault.page(Query(ALL))) == [3, 4, 2, 1]
        assert parse_time("2026-05-06") + timedelta(hours=9) == (await vault.page(Query(ALL))).events[-1].at
