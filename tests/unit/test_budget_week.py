"""A week of a busy agent: several processes reserve, spend, die and settle at once, and no cap is passed by a cent."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from argosy_core.budget.ledger import Amount
from argosy_core.budget.ledgers import end_fields
from argosy_core.clock import SystemClock
from argosy_core.errors import BudgetExhausted
from argosy_core.policy.money import nano_usd
from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.storage.sqlite.store import SqliteStore
from argosy_core.testing.fakes import SeededIds
from argosy_core.types import Caller, Role
from argosy_judge.judge import Judge
from argosy_judge.models import Estimate

pytestmark = pytest.mark.anyio

DAILY_USD, MONTHLY_USD, GRANT_USD = 0.9, 2.5, 0.3
MONDAY = datetime(2026, 11, 27, 0, 5, tzinfo=UTC)  # a week that a month ends in
POLICY = f"## Cost caps\n\n- daily_usd: {DAILY_USD}\n- monthly_usd: {MONTHLY_USD}\n"
GRANT = f"---\nholder: rook\nlimits:\n  usd_day: {GRANT_USD}\nuntil: 2027-01-01\n---\n"


class WeekClock(SystemClock):
    """A calendar that a test turns, and real time for whoever waits for a lock of another process."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


@dataclass
class Week:
    """One agent, *processes* judges over its vault, and what was really spent."""

    root: Path
    seed: int
    processes: int = 3
    days: Counter[str] = field(default_factory=Counter[str])
    granted: Counter[str] = field(default_factory=Counter[str])
    refused: int = 0

    def __post_init__(self) -> None:
        self.clock = WeekClock(MONDAY)
        self.random = random.Random(self.seed)
        for path, text in (("rook/model.md", "# M"), ("policy.md", POLICY), ("_fleet/grants/g1.md", GRANT)):
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        self.stores = [open_store(self.root, clock=self.clock, ids=SeededIds(i)) for i in range(self.processes)]
        self.judges = [
            Judge(ServerConfig(store, agent="rook", clock=self.clock, ids=SeededIds(self.seed * 10 + i)))
            for i, store in enumerate(self.stores)
        ]

    async def live(self, waves: int, callers: int) -> None:
        """Waves of callers, spread over seven days."""
        for _ in range(waves):
            async with anyio.create_task_group() as group:
                for at in range(callers):
                    group.start_soon(self._spend, self.judges[at % self.processes], self.random.random())
            self.clock.advance(7 * 86_400 / waves * self.random.uniform(0.5, 1.5))

    async def _spend(self, judge: Judge, luck: float) -> None:
        chance = random.Random(luck)
        under_grant = chance.random() < 0.4
        caller = Caller("rook", Role.HOST, run="r", grant="g1" if under_grant else None)
        estimate = Estimate(usd=round(chance.choice([0.0003, 0.04, 0.7]) * chance.random(), 6), ttl_s=3_000)
        try:
            made = await judge.budgets.reserve(caller, "rook", "r", estimate)
        except BudgetExhausted:
            self.refused += 1
            return
        ledger = await judge.budgets.ledger("rook")
        day = ledger.open[made.reservation].day
        dies = chance.random() < 0.15
        actual = estimate.usd if dies else estimate.usd * chance.choice([0, 0.5, 1])
        if not dies:
            await judge.budgets.settle("rook", made.reservation, actual, 0)
        self.days[day] += nano_usd(actual)
        if under_grant:
            self.granted[day] += nano_usd(actual)

    async def check(self) -> None:
        months = Counter[str]()
        for day, spent in self.days.items():
            assert spent <= nano_usd(DAILY_USD), (self.seed, day)
            months[day[:7]] += spent
        assert all(spent <= nano_usd(MONTHLY_USD) for spent in months.values()), self.seed
        assert all(spent <= nano_usd(GRANT_USD) for spent in self.granted.values()), self.seed
        self.clock.advance(4_000)
        ledger = await self.judges[0].budgets.ledger("rook")
        assert not ledger.open
        assert ledger.spent("actor", "total", self.clock.now()) == sum(self.days.values())
        for store in self.stores:
            store.close()


async def simulate(root: Path, seed: int, waves: int = 8, callers: int = 9) -> Week:
    week = Week(root, seed)
    await week.live(waves, callers)
    await week.check()
    return week


@pytest.mark.parametrize("seed", range(2))
async def test_a_week_passes_no_cap(tmp_path: Path, seed: int) -> None:
    week = await simulate(tmp_path, seed)
    assert week.refused, "nobody met a cap: the week was not busy"


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 50))
async def test_fifty_weeks_pass_no_cap(tmp_path: Path, seed: int) -> None:
    await simulate(tmp_path, seed, waves=40)


async def test_a_ledger_that_is_lost_is_made_again_from_the_log(tmp_path: Path) -> None:
    week = Week(tmp_path, 7, processes=1)
    await week.live(6, 6)
    before = await week.judges[0].budgets.ledger("rook")
    (tmp_path / "_fleet/budgets/rook.json").unlink()
    after = await week.judges[0].budgets.ledger("rook")
    assert (after.purses, after.open) == (before.purses, before.open)
    await week.check()


async def test_a_crash_between_the_record_and_the_ledger_settles_at_the_record(tmp_path: Path) -> None:
    week = Week(tmp_path, 3, processes=1)
    budgets, ledgers = week.judges[0].budgets, week.judges[0].ledgers
    made = await budgets.reserve(Caller("rook", Role.HOST, run="r"), "rook", "r", Estimate(usd=0.5, ttl_s=60))
    known = (await budgets.ledger("rook")).open[made.reservation]
    paid = Amount(nano_usd(0.125))
    await ledgers.log(
        "rook", "budget.settle", end_fields(made.reservation, known, paid), key=f"settle:{made.reservation}"
    )
    assert (await budgets.ledger("rook")).spent("actor", "day", week.clock.now()) == 0  # here it died
    week.clock.advance(61)
    assert (await budgets.ledger("rook")).spent("actor", "day", week.clock.now()) == paid.nano
    assert (await budgets.settle("rook", made.reservation, 0.125, 0)).usd == 0.125
    for store in week.stores:
        store.close()


async def test_a_cap_holds_over_a_database_too(tmp_path: Path) -> None:
    clock, ids = WeekClock(MONDAY), SeededIds(9)
    store = SqliteStore(tmp_path / "vault.sqlite", tmp_path, clock, ids, create=True)
    for path, text in (("rook/model.md", "# M"), ("policy.md", POLICY)):
        await store.documents.write(path, text.encode())
    budgets = Judge(ServerConfig(store, agent="rook", clock=clock, ids=ids)).budgets
    caller, made = Caller("rook", Role.HOST, run="r"), Counter[str]()

    async def reserve() -> None:
        try:
            await budgets.reserve(caller, "rook", "r", Estimate(usd=0.2))
            made["reserved"] += 1
        except BudgetExhausted:
            made["refused"] += 1

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(reserve)
    assert made == {"reserved": 4, "refused": 4}
    store.close()
