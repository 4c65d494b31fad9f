"""One step of each primitive, with what must hold whether it happened, did not, or nobody can say.

The checks that interrupt a store (`cancelling`, `restarting`, `failing`) take these steps and look after each one.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from argosy_core.errors import NotFound
from argosy_core.storage.base import ABSENT, Item, Lease, NewItem, Store
from argosy_core.testing.conformance import STREAM
from argosy_core.testing.conformance.promises import promise, same

OLD, NEW = b"old" * 999, b"new" * 999
LEASE_SECONDS = 600.0
QUEUE = "steps"  # one for all: looking an item up takes a call for each queue


@dataclass(frozen=True, slots=True)
class Step:
    """*prepare* makes what the step needs under a fresh *name*; *take* gets what it gave, and *holds* looks after it.

    *holds* is told whether the step was acknowledged: then it has happened, else it has happened wholly or not at all.
    A step that gives False says that nothing happened: an item whose file cannot be read just now is not claimed.
    After it the place is as if the step had been taken once and everything goes on.
    """

    prepare: Callable[[Store, str], Coroutine[Any, Any, Any]]
    take: Callable[[Store, str, Any], Coroutine[Any, Any, Any]]
    holds: Callable[[Store, str, Any, bool], Coroutine[Any, Any, None]]


async def _nothing(store: Store, name: str) -> None:
    return None


# Documents


def _path(name: str) -> str:
    return f"{STREAM}/steps/{name}.md"


async def _content(store: Store, name: str) -> bytes | None:
    try:
        return (await store.documents.read(_path(name))).data
    except NotFound:
        return None


async def _old_document(store: Store, name: str) -> str:
    return (await store.documents.write(_path(name), OLD)).version


async def _after_document(store: Store, name: str, was: bytes | None, becomes: bytes | None, told: bool) -> None:
    came = await _content(store, name)
    promise(came == becomes or (not told and came == was), "a document is old or new, and new when that was said", came)
    await store.documents.write(_path(name), b"after")
    same(await _content(store, name), b"after", "the next write works")
    listed = [info.path for info in await store.documents.list(f"{STREAM}/steps") if name in info.path]
    same(listed, [_path(name)], "nothing else is left")


async def _create(store: Store, name: str, given: Any) -> None:
    await store.documents.write(_path(name), NEW, expect=ABSENT)


async def _replace(store: Store, name: str, given: Any) -> None:
    await store.documents.write(_path(name), NEW, expect=given, keep_version=True)


async def _remove(store: Store, name: str, given: Any) -> None:
    await store.documents.remove(_path(name), expect=given)


async def _created(store: Store, name: str, given: Any, told: bool) -> None:
    await _after_document(store, name, None, NEW, told)


async def _replaced(store: Store, name: str, given: Any, told: bool) -> None:
    if told:
        kept = [(await store.documents.read(info.path)).data for info in await store.documents.versions(_path(name))]
        same(kept, [OLD], "the old content is kept")
    await _after_document(store, name, OLD, NEW, told)


async def _removed(store: Store, name: str, given: Any, told: bool) -> None:
    await _after_document(store, name, OLD, None, told)


# Chain


async def _append(store: Store, name: str, given: Any) -> None:
    await store.chain.append(STREAM, "w", {"name": name})


async def _append_under_key(store: Store, name: str, given: Any) -> None:
    await store.chain.append(STREAM, "w", {"name": name}, key=name)


async def _names(store: Store) -> list[Any]:
    lines = [line async for line in store.chain.scan(STREAM)]
    same([line["seq"] for line in lines], list(range(1, len(lines) + 1)), "numbers without a gap")
    report = await store.chain.verify(STREAM)
    same((report.entries, report.findings), (len(lines), ()), "a whole chain")
    return [line["name"] for line in lines]


async def _appended(store: Store, name: str, given: Any, told: bool) -> None:
    await store.chain.append(STREAM, "w", {"name": "after"})
    count = (await _names(store)).count(name)
    promise(count == 1 or (not told and count == 0), "an entry is there once, or it was not acknowledged", count)


async def _appended_under_key(store: Store, name: str, given: Any, told: bool) -> None:
    await _append_under_key(store, name, given)
    same((await _names(store)).count(name), 1, "the same append again, under its key, makes no second entry")


# Leases


async def _held(store: Store, name: str) -> Lease:
    return await store.leases.acquire(name, "me", LEASE_SECONDS)


async def _acquire(store: Store, name: str, given: Any) -> None:
    await _held(store, name)


async def _renew(store: Store, name: str, given: Any) -> None:
    await store.leases.renew(given, LEASE_SECONDS * 2)


async def _release(store: Store, name: str, given: Any) -> None:
    await store.leases.release(given)


async def _goes_on(store: Store, name: str, above: int) -> None:
    """Whoever holds *name* gives it up, and the next has a higher generation."""
    held = await store.leases.current(name)
    if held is not None:
        await store.leases.release(held)
    following = await store.leases.acquire(name, "you", LEASE_SECONDS)
    promise(following.generation > max(above, held.generation if held else 0), "generations rise", following)
    same(await store.leases.current(name), following, "the next one holds it")


async def _acquired(store: Store, name: str, given: Any, told: bool) -> None:
    held = await store.leases.current(name)
    promise(held.holder == "me" if held else not told, "it is held, or that was not said", held)
    await _goes_on(store, name, 0)


async def _renewed(store: Store, name: str, given: Any, told: bool) -> None:
    held = await store.leases.current(name)
    promise(held is not None and held.token == given.token, "a lease that is renewed stays its holder's", held)
    promise(not told or (held and held.expires_at > given.expires_at), "its end has moved", held)
    await _goes_on(store, name, given.generation)


async def _released(store: Store, name: str, given: Any, told: bool) -> None:
    held = await store.leases.current(name)
    promise(held is None or (not told and held.token == given.token), "it is free, or its holder's still", held)
    await _goes_on(store, name, given.generation)


# Items


async def _put(store: Store, name: str, given: Any) -> None:
    await store.items.enqueue(NewItem(QUEUE, {"name": name}, key=name))


async def _waiting(store: Store, name: str) -> None:
    await _put(store, name, None)


async def _claimed(store: Store, name: str) -> tuple[str, str]:
    await _put(store, name, None)
    [item] = await store.items.claim(QUEUE, "me", LEASE_SECONDS)
    assert item.lease is not None
    return item.id, item.lease.token


async def _claim(store: Store, name: str, given: Any) -> bool:
    return bool(await store.items.claim(QUEUE, "me", LEASE_SECONDS))


async def _complete(store: Store, name: str, given: Any) -> None:
    await store.items.complete(given[0], given[1], {"ok": True})


async def _fail(store: Store, name: str, given: Any) -> None:
    await store.items.fail(given[0], given[1], "no", 0)


async def _items(store: Store, name: str) -> list[Item]:
    return [item for item in (await store.items.list(QUEUE))[0] if item.payload["name"] == name]


async def _one_item(store: Store, name: str, given: Any, told: bool, state: str, before: str | None) -> None:
    """The one item is in *state*, or as it was in *before* if nothing was acknowledged; then it is worked off."""
    found = [item.state for item in await _items(store, name)]
    allowed = [[state]] if told else [[state], [before] if before else []]
    promise(found in allowed, f"one item, {state} or not acknowledged", found)
    item, _ = await store.items.enqueue(NewItem(QUEUE, {"name": name}, key=name))
    if item.state == "ready":
        [item] = await store.items.claim(QUEUE, "you", LEASE_SECONDS)
    if item.state == "leased":
        assert item.lease is not None
        await store.items.complete(item.id, item.lease.token, {"ok": True})
    same([item.state for item in await _items(store, name)], ["done"], "it is done once, and there is no other")
    same(list(await store.items.claim(QUEUE, "you", LEASE_SECONDS)), [], "nobody gets it again")


def _leaves(state: str, before: str | None) -> Callable[[Store, str, Any, bool], Coroutine[Any, Any, None]]:
    async def holds(store: Store, name: str, given: Any, told: bool) -> None:
        await _one_item(store, name, given, told, state, before)

    return holds


DOCUMENT_STEPS = (
    Step(_nothing, _create, _created),
    Step(_old_document, _replace, _replaced),
    Step(_old_document, _remove, _removed),
)
CHAIN_STEPS = (Step(_nothing, _append, _appended), Step(_nothing, _append_under_key, _appended_under_key))
LEASE_STEPS = (Step(_nothing, _acquire, _acquired), Step(_held, _renew, _renewed), Step(_held, _release, _released))
ITEM_STEPS = (
    Step(_nothing, _put, _leaves("ready", None)),
    Step(_waiting, _claim, _leaves("leased", "ready")),
    Step(_claimed, _complete, _leaves("done", "leased")),
    Step(_claimed, _fail, _leaves("ready", "leased")),
)
