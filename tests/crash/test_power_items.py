"""Power is cut after every step of every move of an item: it is in one state, and no acknowledged move is undone."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from at_once import ItemsAtOnce, Now
from power_cuts import LONG, Acknowledge, Died, cut, dying_after, vault_on, visible

from argosy_core.storage import item_rules as rules
from argosy_core.storage.base import ENDED_STATES, Item, NewItem
from argosy_core.storage.files.item_projection import FILE
from argosy_core.testing.fakes import FakeClock, SeededIds
from argosy_core.testing.power import Crash, PowerFileSystem
from argosy_core.vault import Vault

Program = Callable[[Now, FakeClock, Acknowledge], None]
MEMORY = Path("/dev/shm")
PADDING = "x" * 3000  # no item fits into one sector


@pytest.fixture
def root(tmp_path: Path) -> Generator[Path]:
    """A folder for the projections, which are no part of the simulation: in memory where there is such a place."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


def token(item: Item) -> str:
    assert item.lease is not None
    return item.lease.token


def change(items: Now, item: Item, how: Callable[[Item], Item]) -> Item:
    changed: Item = items.inner._run_here(lambda session: session.change(item.id, how))
    return changed


def one_life(items: Now, clock: FakeClock, acknowledge: Acknowledge) -> None:
    """Enqueue, claim, renew, fail, claim, release, claim, complete."""
    item, _ = items.enqueue(NewItem("q", {"n": 1, "pad": PADDING}, key="k1", conflict_keys=("c",)))
    acknowledge(item)
    for how in (
        lambda i: rules.failed(i, "bad luck", clock.now(), 0),
        lambda i: rules.released(i, None),
        lambda i: rules.completed(i, {"ok": True}, clock.now()),
    ):
        [item] = items.claim("q", "worker", 30, 1)
        acknowledge(item)
        lease = item.lease
        assert lease is not None
        acknowledge(change(items, item, lambda i, lease=lease: rules.renewed(i, lease, clock.now(), 60)))
        acknowledge(change(items, item, how))


def many_at_once(items: Now, clock: FakeClock, acknowledge: Acknowledge) -> None:
    """Three are claimed in one call; one completes, the others' leases end; then all that waits is drained."""
    for number in range(3):
        acknowledge(items.enqueue(NewItem("q", {"n": number}, key=f"k{number}"))[0])
    claimed = items.claim("q", "worker", 30, 3)
    for item in claimed:
        acknowledge(item)
    acknowledge(items.complete(claimed[0].id, token(claimed[0]), {"ok": True}))
    clock.advance(31)
    for item in items.settle("q"):
        acknowledge(item)
    for item in items.drain("q", "enough", 10):
        acknowledge(item)


def ends(items: Now, clock: FakeClock, acknowledge: Acknowledge) -> None:
    """Cancel, die with the last attempt, come back, expire, change priority."""
    first, _ = items.enqueue(NewItem("q", {"n": 1}, key="k1", max_attempts=1))
    second, _ = items.enqueue(NewItem("q", {"n": 2}, key="k2", holds=("ask Ann",)))
    late = clock.now() + rules.timedelta(seconds=5)
    third, _ = items.enqueue(NewItem("q", {"n": 3}, key="k3", expires_at=late, priority=-1))
    for item in (first, second, third):
        acknowledge(item)
    [item] = items.claim("q", "worker", 30, 1)
    acknowledge(item)
    acknowledge(change(items, item, lambda i: rules.failed(i, "bad luck", clock.now(), 0)))
    acknowledge(change(items, item, rules.retried))
    acknowledge(change(items, item, lambda i: rules.prioritized(i, 5)))
    acknowledge(change(items, second, lambda i: rules.cancelled(i, "no", clock.now())))
    clock.advance(6)
    for item in items.settle("q"):
        acknowledge(item)


def crashes_of(root: Path, program: Program, limit: int) -> list[Crash]:
    root.mkdir(exist_ok=True)

    def run(vault: Vault, acknowledge: Acknowledge) -> None:
        assert isinstance(vault.clock, FakeClock)
        items = Now(ItemsAtOnce(vault, vault.clock, SeededIds(5)))
        program(items, vault.clock, acknowledge)
        items.inner.close()

    return cut_items(root, run, limit)


def cut_items(root: Path, run: Callable[[Vault, Acknowledge], None], limit: int) -> list[Crash]:
    def projection() -> bytes:
        kept = root / ".argosy" / FILE
        if not kept.exists():
            return b""
        with sqlite3.connect(kept) as connection:
            data = connection.serialize()
        connection.close()
        return data

    return cut(root, {}, run, limit=limit, beside=projection)


def reopened(root: Path, crash: Crash, *, is_kept: bool) -> tuple[Vault, Now]:
    """The next process, with the projection as it was or without one."""
    (root / ".argosy").mkdir(parents=True)
    if is_kept and crash.beside:
        (root / ".argosy" / FILE).write_bytes(crash.beside)
    vault = vault_on(root, crash.disk, ids=8)
    return vault, Now(ItemsAtOnce(vault, vault.clock, SeededIds(88)))


def check_opened_again(root: Path, crash: Crash, *, is_kept: bool) -> None:
    vault, items = reopened(root, crash, is_kept=is_kept)
    newest = {item.id: item for item in sorted(crash.acknowledged, key=lambda item: item.revision)}
    for told in newest.values():
        found = items.get(told.id)
        assert found.revision >= told.revision
        assert found.revision > told.revision or found == told
    while claimed := items.claim("q", "next", 30, 5):
        for item in claimed:
            items.complete(item.id, token(item), {"by": "next"})
    # What others still hold ends with their leases.
    assert isinstance(vault.clock, FakeClock)
    vault.clock.advance(100)
    while claimed := items.claim("q", "next", 30, 5):
        for item in claimed:
            items.complete(item.id, token(item), {"by": "next"})
    counts = items.counts("q")
    assert set(counts) <= {*ENDED_STATES, "held"}
    assert sum(counts.values()) >= len(newest)
    assert items.problems("q") == []
    assert isinstance(vault.fs, PowerFileSystem)
    paths = list(visible(vault.fs.seen()))
    names = [path.rpartition("/")[2] for path in paths if path.startswith("_fleet/queue/q/")]
    assert sorted(names) == sorted(set(names)), "an item is in one state"
    assert sum(counts.values()) == len(names)
    items.inner.close()


@pytest.mark.parametrize("limit", [pytest.param(1, id="some"), pytest.param(300, id="all", marks=LONG)])
@pytest.mark.parametrize("program", [one_life, many_at_once, ends])
def test_every_crash_leaves_each_item_once_where_it_was_acknowledged(program: Program, limit: int, root: Path) -> None:
    found = crashes_of(root / "live", program, limit)
    assert len(found) > 60
    step = 1 if limit > 1 else 1 + len(found) // 50
    for number, crash in enumerate(found[::step]):
        check_opened_again(root / f"{number}", crash, is_kept=number % 2 == 0)


# A worker dies in the middle of a move, the next one goes on from what it left, and then power is cut.


def die_in(what: str, steps: int, vault: Vault, acknowledge: Acknowledge) -> bool:
    """Whether the worker died of its *steps* before *what* was done."""
    assert isinstance(vault.fs, PowerFileSystem) and isinstance(vault.clock, FakeClock)
    items = Now(ItemsAtOnce(vault, vault.clock, SeededIds(5)))
    acknowledge(items.enqueue(NewItem("q", {"n": 1}, key="k1"))[0])
    claimed = items.claim("q", "worker", 30, 1) if what == "complete" else []
    for item in claimed:
        acknowledge(item)
    dying_after(vault.fs, steps)
    try:
        if what == "claim":
            items.claim("q", "worker", 30, 1)
        else:
            items.complete(claimed[0].id, token(claimed[0]), {"ok": True})
    except Died:
        return True
    finally:
        vault.fs.guard = lambda _: None
        vault.fs.kill()
        items.inner.close()
    return False


def go_on(vault: Vault, acknowledge: Acknowledge) -> None:
    """The next process looks at the item, and completes what it can have."""
    second = Vault(vault.root, fs=vault.fs, clock=vault.clock)
    items = Now(ItemsAtOnce(second, second.clock, SeededIds(6)))
    [item], _ = items.list("q")
    acknowledge(item)
    for item in items.claim("q", "next", 30, 1):
        acknowledge(item)
        acknowledge(items.complete(item.id, token(item), {"ok": True}))
    items.inner.close()


@pytest.mark.parametrize("limit", [pytest.param(1, id="some"), pytest.param(200, id="all", marks=LONG)])
@pytest.mark.parametrize("what", ["claim", "complete"])
def test_a_move_that_a_dead_worker_began_is_durable_before_another_builds_on_it(
    what: str, limit: int, root: Path
) -> None:
    for steps in range(1, 40):
        is_dead = False

        def run(vault: Vault, acknowledge: Acknowledge, steps: int = steps) -> None:
            nonlocal is_dead
            is_dead = die_in(what, steps, vault, acknowledge)
            go_on(vault, acknowledge)

        live = root / f"live{steps}"
        live.mkdir()
        found = cut_items(live, run, limit)
        for number, crash in enumerate(found if limit > 1 else found[steps % 8 :: 8]):
            if len(crash.acknowledged) > (what == "complete"):
                check_opened_again(root / f"{steps}.{number}", crash, is_kept=number % 2 == 0)
        if not is_dead:
            return
    raise AssertionError("the move never came to its end")
