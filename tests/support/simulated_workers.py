"""Workers on one queue in simulated time: they die, sleep past their leases, have wrong clocks, and lose power.

All of a run follows from its seed: the code under test is the real one, over a file system in memory.
"""

from __future__ import annotations

import hashlib
import heapq
import random
import shutil
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from at_once import DatabaseAtOnce, ItemsAtOnce, at_once
from power_cuts import BARE, Died, dying_after

from argosy_core.errors import Conflict
from argosy_core.storage.base import ENDED_STATES, Item, NewItem
from argosy_core.storage.item_calls import ItemCalls
from argosy_core.storage.sqlite.items import SqliteItems
from argosy_core.testing.fakes import FakeClock, SeededIds
from argosy_core.testing.history import End, Op, Recorder, check_history, line_of
from argosy_core.testing.power import PowerFileSystem, disk_with, disks_of
from argosy_core.vault import Vault

T = TypeVar("T")
Life = Generator[float]
QUEUE = "work"
WORKERS = 8
LEASE_SECONDS = 30.0
BOUND_SECONDS = 20_000.0
SKEW_SECONDS = 5.0


class SkewedClock(FakeClock):
    """The machine's time, and one worker's error in it."""

    def __init__(self, base: FakeClock, skew_seconds: float) -> None:
        super().__init__()
        self._base = base
        self._skew = timedelta(seconds=skew_seconds)

    def now(self) -> datetime:
        return self._base.now() + self._skew

    def monotonic(self) -> float:
        return self._base.monotonic()

    def pause(self, seconds: float) -> None:
        self._base.advance(seconds)


class Simulation:
    """One run with *seed* over the folder *root*, where the projection lies."""

    def __init__(self, root: Path, seed: int, count: int) -> None:
        self.root = root
        self.chance = random.Random(seed)
        self.seed = seed
        self.count = count
        self.clock = FakeClock()
        self.fs = PowerFileSystem(str(root.resolve()), disk_with({}, BARE))
        self.ops: list[Op] = []
        self.deaths = self.cuts = self.late = 0
        self._ticks = 0
        self._started = self._looks = 0
        self._queue: list[tuple[float, int, Life]] = []
        self._open: list[tuple[ItemCalls, Callable[[], None]]] = []

    # What a worker does

    def recorder(self) -> tuple[Recorder, ItemCalls]:
        """A process of its own: its own vault, clock and ids over the one file system."""
        self._started += 1
        clock = SkewedClock(self.clock, self.chance.uniform(-SKEW_SECONDS, SKEW_SECONDS))
        items = self._open_items(clock, self.seed * 1000 + self._started)
        return Recorder(items, self._monotonic, lambda: clock.now().timestamp(), self.ops.append), items

    def _open_items(self, clock: SkewedClock, seed: int) -> ItemCalls:
        vault = Vault(self.root, fs=self.fs, clock=clock, ids=SeededIds(seed))
        items = ItemsAtOnce(vault, clock, SeededIds(-seed))
        self._open.append((items, lambda: _close(vault, items)))
        return items

    def _monotonic(self) -> float:
        self._ticks += 1
        return float(self._ticks)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """One call to the store; sometimes its process dies in the middle. Raises Died."""
        if self.chance.random() < 0.03:
            dying_after(self.fs, self.chance.randrange(25))
        try:
            return at_once(work)
        finally:
            self.fs.guard = lambda _: None

    def producer(self) -> Life:
        records, _ = self.recorder()
        for number in range(self.count):
            attempts = 3 if number % 4 == 0 else 100
            keys = (f"key {number % 2}",) if number % 3 == 0 else ()
            new = NewItem(QUEUE, {"n": number}, key=f"k{number}", max_attempts=attempts, conflict_keys=keys)
            at_once(records.enqueue(new))
            yield self.chance.uniform(0, 3)

    def worker(self, name: str) -> Life:
        records, _ = self.recorder()
        while True:
            found = self.call(records.claim(QUEUE, name, LEASE_SECONDS, self.chance.randint(1, 2)))
            if not found:
                yield 5.0
            for item in found:
                yield from self._work_on(records, item)

    def _work_on(self, records: Recorder, item: Item) -> Life:
        luck = self.chance.random()
        if luck < 0.05:
            raise Died
        is_late = luck < 0.25
        try:
            if not is_late and luck < 0.4:
                yield self.chance.uniform(5, 20)
                item = self.call(records.renew(item, LEASE_SECONDS))
            yield self.chance.uniform(31, 90) if is_late else self.chance.uniform(1, 12)
            if luck > 0.95:
                self.call(records.fail(item, "bad luck", self.chance.choice([0, 3.0])))
            elif luck > 0.9:
                self.call(records.release(item))
            else:
                self.call(records.complete(item, {"n": item.payload["n"]}))
        except Conflict:
            self.late += 1

    # Time

    def run(self) -> list[End]:
        """Until everything has ended. Raises AssertionError when that takes too long."""
        self._start(self.producer(), 0)
        self._start_workers()
        cut_at = sorted(self.chance.uniform(10, 40) for _ in range(2))
        while not self._is_over():
            at, _, life = heapq.heappop(self._queue)
            assert at < BOUND_SECONDS, "the work never came to an end"
            if cut_at and at > cut_at[0]:
                cut_at.pop(0)
                self._cut_power()
                continue
            self.clock.advance(max(0.0, at - self.clock.monotonic()))
            self._step(life)
        ends = self._ends()
        self.close()
        return ends

    def _step(self, life: Life) -> None:
        try:
            self._start(life, next(life))
        except Died:
            self.deaths += 1
            self._start(self.worker(f"w{self._started}"), self.chance.uniform(0, 20))
        except StopIteration:
            return

    def _start(self, life: Life, after: float) -> None:
        self._ticks += 1
        heapq.heappush(self._queue, (self.clock.monotonic() + after, self._ticks, life))

    def _start_workers(self) -> None:
        for number in range(WORKERS):
            self._start(self.worker(f"w{number}"), self.chance.uniform(0, 5))

    def _cut_power(self) -> None:
        """Everybody dies at once, and one of the possible disks is left."""
        self.cuts += 1
        self.close()
        self._change_disks()
        self._queue.clear()
        self._start(self.producer(), 0)  # under the same keys
        self._start_workers()

    def _change_disks(self) -> None:
        disks = list(disks_of(self.fs, 20, self.chance))
        self.fs = self.fs.reopened(self.chance.choice(disks))
        if self.chance.random() < 0.5:
            shutil.rmtree(self.root / ".argosy")

    def _is_over(self) -> bool:
        self._looks += 1
        if self._looks % 8 or not self._open or len({op.item for op in self.ops if op.kind == "enqueue"}) < self.count:
            return False
        items = self._open[0][0]
        return not set(at_once(items.counts(QUEUE))) - set(ENDED_STATES)

    def _ends(self) -> list[End]:
        _, items = self.recorder()
        found, _ = at_once(items.list(QUEUE, limit=1000))
        return [End(item.id, item.state, item.problem or item.reason, item.generation) for item in found]

    def close(self) -> None:
        """Close what the processes had open outside the simulation."""
        for _, close in self._open:
            close()
        self._open.clear()

    def digest(self, ends: Sequence[End]) -> str:
        """One value for all that happened."""
        told = [line_of(op) for op in self.ops] + [repr(end) for end in ends]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()


def _close(vault: Vault, items: ItemsAtOnce) -> None:
    items.close()
    with suppress(OSError):  # it was open on a disk that is no more
        vault.close()


class DatabaseSimulation(Simulation):
    """The same in a database, which is a real file: there a cut of power is the death of everybody."""

    def _open_items(self, clock: SkewedClock, seed: int) -> ItemCalls:
        database = DatabaseAtOnce(self.root / "fleet.sqlite", SeededIds(seed), create=True)
        items = SqliteItems(database, clock, SeededIds(-seed))
        self._open.append((items, database.close))
        return items

    def _change_disks(self) -> None:
        return None


KINDS: dict[str, type[Simulation]] = {"files": Simulation, "sqlite": DatabaseSimulation}


def check_seed(root: Path, seed: int, count: int = 10, store: str = "files") -> tuple[Simulation, str]:
    """Run *seed* and check its history; the run, and one value for all that happened in it."""
    folder = root / f"seed{seed}"
    folder.mkdir(parents=True)
    simulation = KINDS[store](folder, seed, count)
    ends = simulation.run()
    problems = check_history(simulation.ops, ends, 2 * SKEW_SECONDS)
    assert problems == [], f"{problems}\nagain: ARGOSY_SEED={seed} pytest -k {TEST}"
    assert len(ends) == count
    return simulation, simulation.digest(ends)


TEST = "test_no_seed_loses_or_doubles_an_item"


# Writers that read, change and write one document, step by step in a seeded order


def count_at_once(root: Path, seed: int = 1, writers: int = 3, rounds: int = 4) -> None:
    """Each adds one to a number, under its lock, over and over; what comes out is how often they did."""
    import threading

    fs = PowerFileSystem(str(root.resolve()), disk_with({"count": b"0"}, BARE))
    baton = Baton(random.Random(seed), writers)

    def step(_: str) -> None:
        baton.give()

    fs.guard = step
    problems: list[BaseException] = []

    def count(number: int) -> None:
        baton.enter(number)
        try:
            clock = BatonClock(baton)
            vault = Vault(root, fs=fs, clock=clock, ids=SeededIds(number))
            for _ in range(rounds):
                add_one(vault)
        except BaseException as problem:
            problems.append(problem)
        finally:
            baton.leave()

    threads = [threading.Thread(target=count, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    fs.guard = lambda _: None
    assert problems == []
    assert dict(fs.seen().files())["count"] == b"%d" % (writers * rounds)


def add_one(vault: Vault) -> None:
    """By compare-and-swap, until it is done."""
    while True:
        old = vault.read("count")
        try:
            vault.replace("count", b"%d" % (int(old.data) + 1), expect=old.version)
            return
        except Conflict:
            continue


class Baton:
    """Of several threads the one that holds it runs; at each step it goes to another one, by chance."""

    def __init__(self, chance: random.Random, count: int) -> None:
        import threading

        self._chance = chance
        self._turn = threading.Condition()
        self._waiting: set[int] = set()
        self._me = threading.local()
        self._expected = count
        self._holder: int | None = None

    def enter(self, number: int) -> None:
        """Take part as *number*; returns when it is its turn."""
        self._me.number = number
        with self._turn:
            self._waiting.add(number)
            if len(self._waiting) == self._expected:
                self._pass_on()
            self._wait(number)

    def give(self) -> None:
        """Let somebody go on, perhaps the caller."""
        number: int = self._me.number
        with self._turn:
            self._waiting.add(number)
            self._pass_on()
            self._wait(number)

    def leave(self) -> None:
        """Take part no more."""
        with self._turn:
            self._pass_on()

    def _pass_on(self) -> None:
        self._holder = self._chance.choice(sorted(self._waiting)) if self._waiting else None
        self._turn.notify_all()

    def _wait(self, number: int) -> None:
        assert self._turn.wait_for(lambda: self._holder == number, 20), "nobody gave the turn on"
        self._waiting.discard(number)


class BatonClock(FakeClock):
    """A clock on which waiting lets another thread go on."""

    def __init__(self, baton: Baton) -> None:
        super().__init__()
        self._baton = baton

    def pause(self, seconds: float) -> None:
        self._baton.give()
