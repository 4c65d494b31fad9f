"""A year of a hundred schedules under three engines, both changes of the clocks, restarts and an outage in it.

What must come of it is counted day by day from the wall clock, without the library that the engine counts with.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from memory_store import MemoryStore

from argosy_core.clock import rfc3339
from argosy_core.testing.fakes import FakeClock
from argosy_scheduler.engine import Engine

pytestmark = pytest.mark.anyio
START = datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)
END = START + timedelta(days=365)
ZONES = ("Europe/Berlin", "America/New_York", "UTC", "Asia/Kolkata")
# Nobody runs from the first to the second; it holds a change of the clocks in Berlin.
OUTAGE = datetime(2026, 3, 27, 9, 0, 40, tzinfo=UTC), datetime(2026, 3, 30, 9, 0, 40, tzinfo=UTC)
GRACE = timedelta(seconds=60)


@dataclass(frozen=True)
class Plan:
    """A schedule of the year: fixed *times* of the day on *weekdays* (0 is Sunday), or steps of real time."""

    name: str
    zone: str
    misfire: str
    times: tuple[tuple[int, int], ...] = ()
    weekdays: tuple[int, ...] = ()
    minutes: int = 0
    every_s: int = 0

    @property
    def head(self) -> str:
        if self.every_s:
            when = f"every_s: {self.every_s}\ncreated: {rfc3339(START)}"
        elif self.minutes:
            when = f'cron: "*/{self.minutes} * * * *"'
        else:
            [minute] = {minute for _, minute in self.times}
            hours = ",".join(str(hour) for hour, _ in self.times)
            when = f'cron: "{minute} {hours} * * {",".join(map(str, self.weekdays))}"'
        return f"{when}\ntimezone: {self.zone}\nmisfire: {self.misfire}\nagent: harbor"

    def slots(self) -> Iterator[datetime]:
        """Every slot of the year, counted by hand."""
        if self.every_s or self.minutes:
            # Five minutes divide all steps by the wall clock, and Kolkata's half hour.
            step = timedelta(seconds=self.every_s or 300)
            slot, wall = START if self.every_s else START.replace(second=0), ZoneInfo(self.zone)
            while (slot := slot + step) <= END:
                if self.every_s or slot.astimezone(wall).minute % self.minutes == 0:
                    yield slot
            return
        zone, seen = ZoneInfo(self.zone), set[datetime]()
        for number in range(-1, 367):
            day = date(2026, 1, 1) + timedelta(days=number)
            if day.isoweekday() % 7 in self.weekdays:
                for hour, minute in self.times:
                    slot = first_real(datetime(day.year, day.month, day.day, hour, minute), zone)
                    if START < slot <= END and slot not in seen:
                        seen.add(slot)
                        yield slot

    def expected(self) -> list[str]:
        """The slots that fire: all that come while engines run, and of the outage what the policy says."""
        slots = sorted(self.slots())
        away = [slot for slot in slots if OUTAGE[0] < slot <= OUTAGE[1]]
        made_up = {"all": away, "once": away[-1:], "skip": [s for s in away if s > OUTAGE[1] - GRACE]}[self.misfire]
        return [rfc3339(slot) for slot in slots if slot not in away or slot in made_up]


def first_real(wall: datetime, zone: ZoneInfo) -> datetime:
    """*wall* in UTC: the first of two, or the end of the gap that it lies in."""
    while True:
        moment = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
            return moment
        wall += timedelta(minutes=1)


def plans(seed: int, dense: bool) -> list[Plan]:
    chance = random.Random(seed)
    made: list[Plan] = []
    for number in range(100):
        zone, misfire = chance.choice(ZONES), ("skip", "once", "all")[number % 3]
        name = f"plan{number}"
        kind = chance.random()
        if kind < 0.1:
            steps = (600, 1800, 3600) if dense else (86_400, 5 * 86_400, 7 * 3600 * 20)
            made.append(Plan(name, zone, misfire, every_s=chance.choice(steps)))
        elif kind < 0.2 and dense:
            made.append(Plan(name, zone, misfire, minutes=chance.choice((10, 15, 20, 30))))
        else:
            hours = sorted(chance.sample([1, 2, 3, 7, 12], chance.randint(1, 4 if dense else 2)))
            days = tuple(sorted(chance.sample(range(7), 7 if dense else 1)))
            # The nights of the changes are Sundays: most shall meet them.
            days = days if dense or number % 4 == 0 else (0,)
            minute = chance.choice((0, 30))
            made.append(Plan(name, zone, misfire, tuple((hour, minute) for hour in hours), days))
    return made


async def live_through(year: list[Plan], seed: int) -> MemoryStore:
    clock, chance = FakeClock(START), random.Random(seed)
    store = MemoryStore(clock)
    for plan in year:
        store.documents.put(f"_fleet/triggers/{plan.name}.md", f"---\n{plan.head}\n---\n\nDo it.\n")
    config = store.config(clock)
    engines = [Engine(config) for _ in range(3)]
    while clock.now() < END:
        dues: list[datetime] = []
        for number in chance.sample(range(3), 3):
            if chance.random() < 0.001:
                engines[number] = Engine(config)
            due = await engines[number].tick()
            dues += [due] if due else []
        now = clock.now()
        wake = min(dues) + timedelta(seconds=chance.choice((0, 0, 1, 20)))
        if now <= OUTAGE[0] < wake:
            wake = OUTAGE[1]
        clock.advance(max(0.5, (min(wake, END) - now).total_seconds()))
    for engine in engines:
        await engine.tick()
    return store


def check(store: MemoryStore, year: list[Plan]) -> None:
    fired: dict[str, list[str]] = {plan.name: [] for plan in year}
    for item in store.items.items:
        fired[str(item.trigger)].append(str(item.payload["slot"]))
    for plan in year:
        assert len(fired[plan.name]) == len(set(fired[plan.name])), plan
        assert sorted(fired[plan.name]) == plan.expected(), plan
    assert len(store.chain.of_kind("schedule.fired")) == len(store.items.items)


async def test_a_year_of_a_hundred_schedules_under_three_engines() -> None:
    year = plans(1, dense=False)
    store = await live_through(year, 2)
    check(store, year)
    assert len(store.items.items) > 6_000


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_a_dense_year_of_a_hundred_schedules_under_three_engines() -> None:
    year = plans(3, dense=True)
    store = await live_through(year, 4)
    check(store, year)
    assert len(store.items.items) > 200_000
