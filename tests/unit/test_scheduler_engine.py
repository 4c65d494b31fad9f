"""The engine over a store in memory: slots become items once, whatever the clock, the files and other engines do."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from memory_store import MemoryStore

from argosy_core.clock import rfc3339
from argosy_core.testing.fakes import FakeClock
from argosy_scheduler.dispatch import MAX_OUTSIDE
from argosy_scheduler.engine import Engine, run, wait_seconds
from argosy_scheduler.ledger import CACHE

pytestmark = pytest.mark.anyio
START = datetime(2026, 5, 4, 12, 0, 10, tzinfo=UTC)
HOUR, DAY = 3600, 86_400


class House:
    """A store, its clock, and engines over it."""

    def __init__(self) -> None:
        self.clock = FakeClock(START)
        self.store = MemoryStore(self.clock)
        self.store.documents.put("harbor/model.md", "# MODEL\n")

    def engine(self) -> Engine:
        return Engine(self.store.config(self.clock))

    def trigger(self, name: str, head: str, task: str = "Do it.", target: str = "agent: harbor") -> None:
        self.store.documents.put(f"_fleet/triggers/{name}.md", f"---\n{head}\n{target}\n---\n\n{task}\n")

    def slots(self, name: str) -> list[str]:
        return [slot[5:16] for slot in self.store.items.slots(name)]

    async def until(self, engine: Engine, seconds: float, longest: float = 30.0) -> None:
        """Let *seconds* pass as the loop lets them pass."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while self.clock.now() < end:
            due = await engine.tick()
            left = (end - self.clock.now()).total_seconds()
            wait = left if due is None else min(left, (due - self.clock.now()).total_seconds())
            self.clock.advance(max(0.001, min(wait, longest) if longest else wait))
        await engine.tick()


@pytest.fixture
def house() -> House:
    return House()


async def test_a_slot_becomes_one_item_with_its_task(house: House) -> None:
    house.trigger("brief", 'cron: "0 13 * * *"', "Write the brief.")
    engine = house.engine()
    assert await engine.tick() == START.replace(hour=13, second=0)
    await house.until(engine, 2 * HOUR)

    [item] = house.store.items.items
    assert (item.queue, item.key) == ("runs", "schedule:brief:2026-05-04T13:00:00.000Z")
    assert item.payload == {
        "agent": "harbor",
        "task": "Write the brief.",
        "trigger": "brief",
        "slot": "2026-05-04T13:00:00.000Z",
    }
    [event] = house.store.chain.of_kind("schedule.fired")
    assert (event["trigger"], event["slot"], event["item"]) == ("brief", item.payload["slot"], item.id)


async def test_a_queue_gets_work_without_an_agent_and_authority_travels(house: House) -> None:
    house.trigger("mill", "every_s: 3600\ncreator: harbor\ngrant: g1", target="queue: grind")
    await house.until(house.engine(), HOUR)
    [item] = house.store.items.items
    assert (item.queue, item.creator, item.grant, item.trigger) == ("grind", "harbor", "g1", "mill")
    assert "agent" not in item.payload


async def test_what_is_seen_first_starts_from_now(house: House) -> None:
    house.trigger("hourly", 'cron: "0 * * * *"\nmisfire: all')
    house.trigger("steps", "every_s: 600\ncreated: 2020-01-01T00:00:00Z\nmisfire: all")
    await house.engine().tick()
    assert house.store.items.items == []


@pytest.mark.parametrize(
    ("misfire", "hours", "fired"), [("skip", 2, 0), ("once", 2, 1), ("all", 2, 1), ("once", 25, 0), ("skip", 0, 1)]
)
async def test_a_moment_that_has_passed_fires_within_a_day_unless_late_ones_are_left_out(
    house: House, misfire: str, hours: int, fired: int
) -> None:
    at = START - timedelta(hours=hours, seconds=5)
    house.trigger("once", f"at: {rfc3339(at)}\nmisfire: {misfire}")
    for _ in range(2):  # and a restart does not fire it again
        await house.until(house.engine(), HOUR)
    assert len(house.store.items.items) == fired


async def test_three_engines_fire_a_slot_once(house: House) -> None:
    house.trigger("beat", "every_s: 60\nmisfire: all")
    engines = [house.engine() for _ in range(3)]
    for _ in range(120):
        for engine in engines:
            await engine.tick()
            house.clock.advance(7)
    slots = house.store.items.slots("beat")
    assert len(slots) == len(set(slots)) == 42
    assert len(house.store.chain.of_kind("schedule.fired")) == 42
    assert len(house.store.chain.of_kind("schedule.seen")) == 1


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    ("misfire", "fired"),
    [("skip", []), ("once", ["05-07T09:00"]), ("all", ["05-05T09:00", "05-06T09:00", "05-07T09:00"])],
)
async def test_three_days_asleep(house: House, misfire: str, fired: list[str], restart: bool) -> None:
    house.trigger("daily", f'cron: "0 9 * * *"\nmisfire: {misfire}')
    engine = house.engine()
    await engine.tick()
    house.clock.advance(3 * DAY)
    if restart:
        engine = house.engine()
    await engine.tick()
    assert house.slots("daily") == fired
    await house.until(engine, DAY)
    assert house.slots("daily") == [*fired, "05-08T09:00"]
    missed = house.store.chain.of_kind("schedule.missed")
    assert [event["from"][5:16] for event in missed] == (["05-05T09:00"] if misfire == "skip" else [])


async def test_an_engine_that_slept_does_not_repeat_or_regret_what_another_did(house: House) -> None:
    for misfire in ("skip", "once", "all"):
        house.trigger(misfire, f'cron: "0 * * * *"\nmisfire: {misfire}')
    awake, asleep = house.engine(), house.engine()
    await asleep.tick()
    await house.until(awake, DAY)
    before = len(house.store.items.items)
    await asleep.tick()
    assert len(house.store.items.items) == before == 72
    assert house.store.chain.of_kind("schedule.missed") == []


@pytest.mark.parametrize("jump", [3600, -3600])
@pytest.mark.parametrize("misfire", ["skip", "once", "all"])
async def test_a_clock_that_jumps_and_comes_back_fires_each_slot_at_most_once(
    house: House, misfire: str, jump: int
) -> None:
    house.trigger("often", f'cron: "*/15 * * * *"\nmisfire: {misfire}')
    engine = house.engine()
    await house.until(engine, HOUR)
    house.clock.advance(jump)
    await house.until(engine, HOUR)
    house.clock.advance(-jump)
    await house.until(engine, 2 * HOUR)
    slots = house.slots("often")
    assert len(slots) == len(set(slots))
    # In both cases the clock never showed a quarter past one to a quarter to two at its time.
    quarters = [START.replace(second=0) + timedelta(minutes=15 * n) for n in range(1, 17)]
    late = [] if misfire == "all" else ["05-04T13:15", "05-04T13:30", "05-04T13:45"]
    assert sorted(slots) == [text for q in quarters if (text := f"{q:%m-%dT%H:%M}") not in late]


async def test_a_changed_time_starts_anew_and_a_changed_task_does_not(house: House) -> None:
    house.trigger("t", 'cron: "0 * * * *"\nmisfire: all')
    engine = house.engine()
    await house.until(engine, HOUR)
    house.clock.advance(3 * HOUR)
    house.trigger("t", 'cron: "0 * * * *"\nmisfire: all', "Another task.")
    await engine.tick()
    assert len(house.slots("t")) == 4
    house.clock.advance(3 * HOUR)
    house.trigger("t", 'cron: "30 * * * *"\nmisfire: all')
    await engine.tick()
    assert len(house.slots("t")) == 4


@pytest.mark.parametrize("restart", [False, True])
async def test_times_that_pass_while_it_is_off_are_not_made_up_for(house: House, restart: bool) -> None:
    head = 'cron: "0 * * * *"\nmisfire: all'
    house.trigger("t", head)
    engine = house.engine()
    await house.until(engine, HOUR)
    kept = house.store.documents.contents["_fleet/triggers/t.md"]
    for off in (f"{head}\nenabled: false", None):
        if off:
            house.trigger("t", off)
        else:
            kept = house.store.documents.contents.pop("_fleet/triggers/t.md")
        await engine.tick()
        house.clock.advance(5 * HOUR)
        if restart:
            engine = house.engine()
        if off:
            house.trigger("t", head)
        else:
            house.store.documents.contents["_fleet/triggers/t.md"] = kept
        await engine.tick()
        assert len(house.slots("t")) == 1
    await house.until(engine, HOUR)
    assert len(house.slots("t")) == 2


async def test_a_broken_file_is_named_and_the_others_run(house: House) -> None:
    house.trigger("good", 'cron: "0 * * * *"')
    house.trigger("bad", 'cron: "0 99 * * *"')
    engine = house.engine()
    await house.until(engine, HOUR)
    assert house.slots("good") == ["05-04T13:00"]
    assert "line 2" in engine.problems["bad"] and "hour field" in engine.problems["bad"]
    house.trigger("bad", 'cron: "30 * * * *"')
    await house.until(engine, HOUR)
    assert house.slots("bad") == ["05-04T13:30"] and "bad" not in engine.problems


async def test_a_closed_queue_is_tried_again_and_loses_nothing(house: House) -> None:
    house.trigger("t", 'cron: "*/10 * * * *"\nmisfire: all')
    engine = house.engine()
    await engine.tick()
    house.store.items.refuse = True
    await house.until(engine, 1800)
    assert "closed" in engine.problems["t"] and house.slots("t") == []
    house.store.items.refuse = False
    await house.until(engine, 60)
    assert house.slots("t") == ["05-04T12:10", "05-04T12:20", "05-04T12:30"] and engine.problems == {}
    assert house.store.items.calls < 100


async def test_a_crash_between_item_and_log_is_made_good(house: House) -> None:
    house.trigger("t", 'cron: "0 * * * *"')
    engine = house.engine()
    await house.until(engine, HOUR - 30)
    [lines] = house.store.chain.days["_fleet"].values()
    await house.until(engine, 40)
    fired = next(line for line in lines if line["kind"] == "schedule.fired")
    lines.remove(fired)
    house.store.chain._keys = {key: v for key, v in house.store.chain._keys.items() if "fired" not in key[2]}
    await house.engine().tick()
    assert len(house.store.items.items) == 1
    [again] = house.store.chain.of_kind("schedule.fired")
    assert again["item"] == fired["item"]


@pytest.mark.parametrize(
    ("cache", "broken"),
    [
        *(("kept", ""), ("lost", ""), ("old", "")),
        ("broken", "{"),
        ("broken", "[]"),
        ("broken", '{"day": "2026-05-09", "accounts": {"t": 5}}'),
        ("broken", '{"day": "2026-05-09", "accounts": {"t": {"timing": "x", "since": "soon"}}}'),
        ("broken", '{"day": 5, "accounts": {}}'),
    ],
)
async def test_a_restart_goes_on_whatever_became_of_the_cache(house: House, cache: str, broken: str) -> None:
    house.trigger("t", 'cron: "0 9 * * *"\nmisfire: all')
    engine = house.engine()
    await house.until(engine, 2 * DAY, longest=0)
    old = house.store.documents.contents[CACHE]
    await house.until(engine, 2 * DAY, longest=0)
    await engine.save()
    if cache == "lost":
        del house.store.documents.contents[CACHE]
    elif cache == "broken":
        house.store.documents.put(CACHE, broken)
    elif cache == "old":
        house.store.documents.contents[CACHE] = old
    house.clock.advance(DAY)
    await house.engine().tick()
    assert house.slots("t") == [f"05-0{day}T09:00" for day in range(5, 10)]


async def test_entries_that_make_no_sense_stop_nothing(house: House) -> None:
    house.trigger("t", 'cron: "0 * * * *"')
    await house.until(house.engine(), HOUR)
    for event in (
        {"kind": "schedule.seen", "trigger": "t", "timing": 5, "from": "soon"},
        {"kind": "schedule.seen", "trigger": "t"},
        {"kind": "schedule.fired", "trigger": "t", "due": "never"},
        {"kind": "schedule.paused"},
    ):
        await house.store.chain.append("_fleet", "scheduler", event)
    await house.until(house.engine(), HOUR)
    assert house.slots("t") == ["05-04T13:00", "05-04T14:00"]


async def test_all_is_bounded_with_a_note(house: House) -> None:
    house.trigger("fast", "every_s: 60\nmisfire: all")
    engine = house.engine()
    await engine.tick()
    house.clock.advance(3 * DAY)
    await engine.tick()
    assert len(house.slots("fast")) == 1000
    [missed] = house.store.chain.of_kind("schedule.missed")
    assert missed["from"][5:16] == "05-04T12:01" and missed["until"] == house.store.items.slots("fast")[0]


# Files


async def test_a_changed_file_fires_once_it_has_settled(house: House) -> None:
    house.trigger("inbox", "watch: inbox/*.md")
    house.store.documents.put("inbox/old.md", "old")
    engine = house.engine()
    await house.until(engine, 120)
    for text in ("a", "ab", "abc"):
        house.store.documents.put("inbox/new.md", text)
        house.store.documents.put("inbox/new.txt", text)
        await house.until(engine, 0.3)
    assert house.store.items.items == []
    await house.until(engine, 60)
    [item] = house.store.items.items
    assert item.payload["path"] == "inbox/new.md" and item.payload["task"] == "Do it."
    house.store.documents.put("inbox/old.md", "changed")
    del house.store.documents.contents["inbox/new.md"]
    await house.until(engine, 60)
    assert [item.payload["path"] for item in house.store.items.items] == ["inbox/new.md", "inbox/old.md"]


async def test_three_engines_fire_for_a_file_once_and_the_bell_says_where_to_look(house: House) -> None:
    house.trigger("inbox", "watch: {glob: harbor/drafts/**/*.md}")
    house.store.bell.watching = True
    engines = [house.engine() for _ in range(3)]
    for engine in engines:
        await engine.tick()
        assert engine.concerns("harbor/drafts/a/b.md") and engine.concerns("harbor") and engine.concerns("")
        assert not engine.concerns("reef/drafts/a.md") and not engine.concerns("harbor/drafts2/a.md")
    house.clock.advance(600)
    house.store.documents.put("harbor/drafts/a/b.md", "text")
    for number in range(20):
        for engine in engines:
            if number == 3:
                engine.heard(frozenset({"harbor/drafts/a/b.md"}))
            await engine.tick()
        house.clock.advance(0.4)
    assert len(house.store.items.items) == 1


@pytest.mark.parametrize(("misfire", "paths"), [("skip", []), ("once", ["b"]), ("all", ["a", "b"])])
async def test_files_that_changed_while_nobody_watched(house: House, misfire: str, paths: list[str]) -> None:
    house.trigger("inbox", f"watch: inbox/*.md\nmisfire: {misfire}")
    house.store.documents.put("inbox/before.md", "x")
    house.clock.advance(5)
    await house.engine().tick()
    for name in ("a", "b"):
        house.clock.advance(HOUR)
        house.store.documents.put(f"inbox/{name}.md", "x")
    house.clock.advance(HOUR)
    for _ in range(2):
        await house.until(house.engine(), 60)
    found = [str(item.payload["path"]) for item in house.store.items.items]
    assert found == [f"inbox/{name}.md" for name in paths]
    assert len(house.store.chain.of_kind("schedule.missed")) == (misfire == "skip")


# Events


async def test_an_event_fires_once_for_each_and_never_for_the_schedulers_own(house: House) -> None:
    house.trigger("react", "event: goal.*")
    house.trigger("tail", "every_s: 30")
    engines = [house.engine() for _ in range(3)]
    await house.store.chain.append("harbor", "goal", {"kind": "goal.before"})
    house.clock.advance(1)
    for engine in engines:
        await engine.tick()
    for number in range(4):
        await house.store.chain.append("harbor", "goal", {"kind": "goal.transition", "n": number})
        await house.store.chain.append("harbor", "goal", {"kind": "journal.append"})
        for engine in engines:
            await engine.tick()
        house.clock.advance(10)
    for engine in engines:
        await engine.tick()
    found = [item.payload["event"]["seq"] for item in house.store.items.items if item.trigger == "react"]
    assert found == [2, 4, 6, 8]


async def test_an_agents_trigger_hears_its_own_stream_only(house: House) -> None:
    house.trigger("mine", "event: note.kept\ncreator: harbor")
    engine = house.engine()
    await engine.tick()
    house.clock.advance(1)
    await house.store.chain.append("reef", "memory", {"kind": "note.kept"})
    await house.store.chain.append("_fleet", "memory", {"kind": "note.kept"})
    await house.store.chain.append("_fleet", "memory", {"kind": "note.kept", "agent": "harbor"})
    await house.store.chain.append("harbor", "memory", {"kind": "note.kept"})
    await engine.tick()
    assert sorted(item.payload["event"]["stream"] for item in house.store.items.items) == ["_fleet", "harbor"]


async def test_what_its_own_run_logs_does_not_fire_it_again(house: House) -> None:
    house.trigger("loop", "event: note.kept")
    engine = house.engine()
    await engine.tick()
    house.clock.advance(1)
    chain = house.store.chain
    await chain.append("harbor", "memory", {"kind": "note.kept"})
    await chain.append("harbor", "host", {"kind": "run.start", "run_id": "run-1", "trigger": "loop"})
    await chain.append("harbor", "host", {"kind": "run.start", "run_id": "run-2", "parent_run_id": "run-1"})
    await chain.append("harbor", "memory", {"kind": "note.kept", "run_id": "run-1"})
    await chain.append("harbor", "memory", {"kind": "note.kept", "run_id": "run-2"})
    await chain.append("harbor", "memory", {"kind": "note.kept", "run_id": "run-3"})
    await engine.tick()
    assert [item.payload["event"]["seq"] for item in house.store.items.items] == [1, 4]


async def test_a_loop_that_nobody_can_see_is_cut_off_with_a_note(house: House) -> None:
    house.trigger("loop", "event: note.kept")
    engine = house.engine()
    await engine.tick()
    for _ in range(MAX_OUTSIDE + 50):
        house.clock.advance(0.5)
        await house.store.chain.append("harbor", "memory", {"kind": "note.kept"})
        await engine.tick()
    assert len(house.store.items.items) == MAX_OUTSIDE
    assert "fire itself" in engine.problems["loop"]
    assert [event["why"] for event in house.store.chain.of_kind("schedule.missed")] == ["too often"]
    house.clock.advance(700)
    await house.store.chain.append("harbor", "memory", {"kind": "note.kept"})
    await engine.tick()
    assert len(house.store.items.items) == MAX_OUTSIDE + 1 and engine.problems == {}


@pytest.mark.parametrize(("misfire", "seqs"), [("skip", []), ("once", [3]), ("all", [2, 3])])
async def test_events_while_no_engine_ran(house: House, misfire: str, seqs: list[int]) -> None:
    house.trigger("react", f"event: goal.moved\nmisfire: {misfire}")
    await house.store.chain.append("harbor", "goal", {"kind": "goal.moved"})
    house.clock.advance(1)
    await house.engine().tick()
    for _ in range(2):
        house.clock.advance(DAY)
        await house.store.chain.append("harbor", "goal", {"kind": "goal.moved"})
    house.clock.advance(HOUR)
    for _ in range(2):
        await house.until(house.engine(), 60)
    assert [item.payload["event"]["seq"] for item in house.store.items.items] == seqs


async def test_a_webhook_waits_for_its_door(house: House) -> None:
    house.trigger("hook", "webhook: {path: git/push, secret_name: GIT}")
    engine = house.engine()
    assert await engine.tick() is None
    assert house.store.items.items == [] and engine.problems == {}


# The loop


async def test_the_loop_sleeps_until_the_next_slot_and_ends_when_told(house: House) -> None:
    house.trigger("t", 'cron: "0 * * * *"')
    engine, stop, ticks = house.engine(), anyio.Event(), list[datetime]()
    tick = engine.tick

    async def counted() -> datetime | None:
        ticks.append(house.clock.now())
        if len(house.store.items.items) == 2:
            stop.set()
        return await tick()

    engine.tick = counted  # type: ignore[method-assign]
    with anyio.fail_after(10):
        await run(engine, stop)
    assert len(ticks) < 2 * HOUR / 30 + 10
    assert house.store.users == 0 and json.loads(house.store.documents.contents[CACHE].data)["accounts"]["t"]["last"]


async def test_the_loop_outlives_a_bad_moment(house: House, caplog: pytest.LogCaptureFixture) -> None:
    engine, stop, calls = house.engine(), anyio.Event(), 0

    async def tick() -> datetime | None:
        nonlocal calls
        calls += 1
        if calls == 3:
            stop.set()
        raise RuntimeError("a bad moment")

    engine.tick = tick  # type: ignore[method-assign]
    with anyio.fail_after(10):
        await run(engine, stop)
    assert calls == 3 and "could not look" in caplog.text


async def test_the_loop_never_spins_and_never_oversleeps(house: House) -> None:
    engine, now = house.engine(), house.clock.now()
    assert wait_seconds(engine, now - timedelta(days=1)) > 0
    assert wait_seconds(engine, now + timedelta(days=1)) == wait_seconds(engine, None) == 30
    house.trigger("react", "event: goal.moved")
    await engine.tick()
    assert wait_seconds(engine, None) == 5
    house.store.bell.watching = True
    assert wait_seconds(engine, None) == 30
