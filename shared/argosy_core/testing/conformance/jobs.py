"""What each of several processes does with a primitive, all at once, and what must be true afterwards."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from argosy_core.errors import AlreadyExists, Conflict
from argosy_core.storage.base import ABSENT, NewItem, Store
from argosy_core.testing.conformance import STREAM
from argosy_core.testing.conformance.promises import promise, same

STEPS = 12  # of a process, of each kind of work
TURNS = 3  # with the lease that all want
ITEMS = 40
LEASE_SECONDS = 600.0
AGAIN_SECONDS = 0.005  # between two tries for a lease that another process has
COUNT = f"{STREAM}/count.md"
INSIDE = f"{STREAM}/inside.md"
QUEUE = "several"
Told = Mapping[str, Any]
"""What each process, by its name, said that it did."""


@dataclass(frozen=True, slots=True)
class Job:
    """*prepare* makes what all need; *work* is one process's part, and gives in JSON what it did; *holds* looks."""

    prepare: Callable[[Store], Coroutine[Any, Any, None]]
    work: Callable[[Store, str], Coroutine[Any, Any, Any]]
    holds: Callable[[Store, Told], Coroutine[Any, Any, None]]


def _all(told: Told) -> list[Any]:
    """What all of them said, one after another."""
    return [one for own in told.values() for one in own]


async def _nothing(store: Store) -> None:
    return None


# Documents: all count up one number by compare-and-swap.


async def _begin_count(store: Store) -> None:
    await store.documents.write(COUNT, b"0")


async def _count(store: Store, name: str) -> int:
    steps = 0
    while steps < STEPS:
        old = await store.documents.read(COUNT)
        try:
            await store.documents.write(COUNT, b"%d" % (int(old.data) + 1), expect=old.version)
            steps += 1
        except Conflict:
            continue
    return steps


async def _counted(store: Store, told: Told) -> None:
    found = int((await store.documents.read(COUNT)).data)
    same(found, sum(told.values()), "every step of every process is counted")


# Chain: all append to one chain, and some entries under keys that every process uses.


async def _append(store: Store, name: str) -> list[list[Any]]:
    made = [await store.chain.append(STREAM, "w", {"by": name, "n": number}) for number in range(STEPS)]
    shared = [await store.chain.append(STREAM, "shared", {"n": n}, key=f"k{n}") for n in range(STEPS)]
    return [[entry.writer, entry.seq, entry.hash] for entry in (*made, *shared)]


async def _appended(store: Store, told: Told) -> None:
    report = await store.chain.verify(STREAM)
    count = len(told) * STEPS + STEPS
    same((report.entries, report.findings), (count, ()), "one chain of each writer, whole, with every entry")
    lines = [line async for line in store.chain.scan(STREAM)]
    kept = {(line["writer"], line["seq"], line["hash"]) for line in lines}
    same({tuple(entry) for entry in _all(told)}, kept, "what was acknowledged is what is there")
    events = sorted((line["by"], line["n"]) for line in lines if line["writer"] == "w")
    same(events, sorted((name, n) for name in told for n in range(STEPS)), "each event of each process once")


# Leases: whoever has the lease makes a document that nobody else makes meanwhile.


async def _take_turns(store: Store, name: str) -> list[int]:
    generations: list[int] = []
    while len(generations) < TURNS:
        try:
            lease = await store.leases.acquire(QUEUE, name, LEASE_SECONDS)
        except Conflict:
            await anyio.sleep(AGAIN_SECONDS)
            continue
        try:
            await store.documents.write(INSIDE, name.encode(), expect=ABSENT)
        except AlreadyExists:
            promise(False, "a lease is held by one process", f"{name} got it while another one had it")
        await store.documents.remove(INSIDE)
        await store.leases.release(lease)
        generations.append(lease.generation)
    return generations


async def _turns_taken(store: Store, told: Told) -> None:
    given = _all(told)
    same(len(set(given)), len(told) * TURNS, "every lease has a generation of its own")
    promise(all(own == sorted(own) for own in told.values()), "generations rise for every process", told)
    same(await store.leases.current(QUEUE), None, "nobody has it in the end")
    last = await store.leases.acquire(QUEUE, "last", LEASE_SECONDS)
    promise(last.generation > max(given), "the next one's generation is higher", (last.generation, max(given)))


# Items: every process enqueues all of them, under the same keys, and then works off what it can get.


async def _work_off(store: Store, name: str) -> list[int]:
    for number in range(ITEMS):
        await store.items.enqueue(NewItem(QUEUE, {"n": number}, key=f"k{number}"))
    done: list[int] = []
    while claimed := await store.items.claim(QUEUE, name, LEASE_SECONDS, 2):
        for item in claimed:
            assert item.lease is not None
            await store.items.complete(item.id, item.lease.token, {"by": name})
            done.append(item.payload["n"])
    return done


async def _worked_off(store: Store, told: Told) -> None:
    same(sorted(_all(told)), list(range(ITEMS)), "every item is worked off by one process")
    items, _ = await store.items.list(QUEUE, limit=2 * ITEMS)
    found = {item.payload["n"]: (item.state, item.attempt, item.result) for item in items}
    kept = {n: ("done", 1, {"by": name}) for name, numbers in told.items() for n in numbers}
    same((len(items), found), (ITEMS, kept), "each is done, at the first attempt, with the result of who did it")


# Bell: every process rings for a document of its own. Who must hear it is the one who looks.


async def _ring(store: Store, name: str) -> str:
    path = rung_path(name)
    await store.documents.write(path, name.encode())
    store.bell.ring(path)
    return path


async def _rung(store: Store, told: Told) -> None:
    for name, path in told.items():
        same((await store.documents.read(path)).data, name.encode(), "what was rung for is there")


def rung_path(name: str) -> str:
    """What the process *name* rings for."""
    return f"{STREAM}/rung/{name}.md"


JOBS: Mapping[str, Job] = {
    "documents": Job(_begin_count, _count, _counted),
    "chain": Job(_nothing, _append, _appended),
    "leases": Job(_nothing, _take_turns, _turns_taken),
    "items": Job(_nothing, _work_off, _worked_off),
    "bell": Job(_nothing, _ring, _rung),
}
ALL_JOBS: Sequence[str] = tuple(JOBS)
