"""The figures of a vault in a database: the queue and the log over SQLite, against the same engine used bare."""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
from measure import Row, interleave

AT_ONCE = 64


class BareQueue:
    """What a claim and its acknowledgement cost at least: two transactions on a table with one index."""

    def __init__(self, path: Path, ready: int) -> None:
        self._db = db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE job (id INTEGER PRIMARY KEY, state INTEGER, priority INTEGER, token TEXT, body TEXT)")
        db.execute("CREATE INDEX job_next ON job (state, priority, id)")
        db.execute("BEGIN")
        db.executemany("INSERT INTO job (state, priority, body) VALUES (0, 0, ?)", [("x" * 200,)] * ready)
        db.execute("COMMIT")

    async def pair(self, index: int) -> None:
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        [(id,)] = db.execute(
            "UPDATE job SET state = 1, token = 't' WHERE id = "
            "(SELECT id FROM job WHERE state = 0 ORDER BY priority, id LIMIT 1) RETURNING id"
        ).fetchall()
        db.execute("COMMIT")
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE job SET state = 2 WHERE id = ? AND token = 't'", (id,))
        db.execute("COMMIT")


def sqlite_queueing(folder: Path, quick: bool) -> list[Row]:
    """P7 over SQLite."""
    return anyio.run(_queueing, folder, (50, 500) if quick else (100, 100_000), 20 if quick else 200)


async def _queueing(folder: Path, sizes: tuple[int, int], count: int) -> list[Row]:
    from argosy_core.storage.base import NewItem

    folder.mkdir(parents=True)
    stores: dict[str, Any] = {str(size): _filled(folder / str(size), size) for size in sizes}

    async def cycle(store: Any, index: int) -> None:
        await store.items.enqueue(NewItem("work", {"n": index}))
        [item] = await store.items.claim("work", "bench", 600)
        await store.items.complete(item.id, item.lease.token, {})

    steps = {name: _bound(cycle, store) for name, store in stores.items()}
    found = await interleave(steps, count, warm_up=10)
    store, bare = stores[str(sizes[0])], BareQueue(folder / "bare.sqlite", count * 20)

    async def many(index: int) -> None:
        await _at_once(lambda number: cycle(store, number))

    async def some_pairs(index: int) -> None:
        for number in range(AT_ONCE):
            await bare.pair(number)

    rounds = await interleave({"many": many, "bare": some_pairs}, count // 10, warm_up=1)
    for store in stores.values():
        store.close()
    few, all = found[str(sizes[0])], found[str(sizes[1])]
    ours, pair = rounds["many"].p50 / AT_ONCE, rounds["bare"].p50 / AT_ONCE
    return [
        Row("P7", f"enqueue, claim, complete over SQLite, {sizes[1]} ready against {sizes[0]}", all.p50, few.p50,
            1.5 * few.p50, "ms", "flat: ≤ 1.5 ×", all.p99),
        Row("P7", f"the same by {AT_ONCE} workers, each, against a bare claim and acknowledgement", ours, pair,
            pair / 0.7, "ms", "≥ 0.7 × as many"),
    ]  # fmt: skip


def sqlite_appending(folder: Path, quick: bool) -> list[Row]:
    """P4 over SQLite."""
    return anyio.run(_appending, folder, 3 if quick else 20)


async def _appending(folder: Path, count: int) -> list[Row]:
    folder.mkdir(parents=True)
    store = _filled(folder, 0)
    store.files.replace("harbor/model.md", b"# MODEL\n")

    async def append(number: int) -> None:
        await store.chain.append("harbor", "bench", {"kind": "bench", "n": number})

    alone: list[float] = []
    together: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        for number in range(AT_ONCE):
            await append(number)
        alone.append((time.perf_counter() - began) * 1000 / AT_ONCE)
        began = time.perf_counter()
        await _at_once(append)
        together.append((time.perf_counter() - began) * 1000 / AT_ONCE)
    store.close()
    one, each = statistics.median(alone), statistics.median(together)
    return [
        Row("P4", f"append over SQLite, {AT_ONCE} at once, each, against one alone", each, one, one / 5, "ms", "≥ 5 ×")
    ]


def _filled(folder: Path, size: int) -> Any:
    from argosy_core.storage.opening import open_store
    from argosy_core.storage.sqlite.item_rows import TransactionQueue

    store: Any = open_store(folder, "sqlite:///fleet.sqlite", create=True)

    def fill(t: Any) -> None:
        queue = TransactionQueue(t, "work", store.items._clock)
        for number in range(size):
            queue.put_file("ready", f"item_{number:08}", b'{"payload": {"n": %d}}' % number)

    store.database.write(fill)
    return store


def _bound(
    step: Callable[[Any, int], Coroutine[Any, Any, None]], store: Any
) -> Callable[[int], Coroutine[Any, Any, None]]:
    return lambda index: step(store, index)


async def _at_once(call: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(AT_ONCE):
            tasks.start_soon(call, number)
