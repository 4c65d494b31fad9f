"""The promises of a store to hostile texts in its logs and queues; see `hostile`, of which they are a part."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from argosy_core.storage.base import Item, NewItem, Store
from argosy_core.testing.conformance import STREAM, Opener
from argosy_core.testing.conformance.hostile_names import NAMES, TEXT_SIZES, shown, taken
from argosy_core.testing.conformance.promises import promise, same
from argosy_core.testing.fakes import FakeClock

Open = Opener[Store]
Check = Callable[[Open], Coroutine[Any, Any, None]]
QUEUE = "hostile"


# Chain


async def check_texts_in_a_chain_are_kept_or_refused(open_store: Open) -> None:
    """Whatever text is a writer, a key, a field or a value, its entry is read back equal, or it is not in the chain."""
    kept: list[tuple[str, Mapping[str, Any]]] = []
    async with open_store() as store:

        async def append(writer: str, event: Mapping[str, Any], key: str | None, what: str) -> None:
            for entry in await taken(what, store.chain.append(STREAM, writer, event, key=key)):
                kept.append((writer, event))
                if key is not None:
                    same(await store.chain.find(STREAM, writer, key), entry, "a key finds its own entry")

        for number, name in enumerate(NAMES):
            await append(name, {"n": number}, None, f"the writer {shown(name)}")
            await append("keys", {"of": number}, name, f"the key {shown(name)}")
            event = {f"the {name}": number, "value": name, "deep": [{name: [name]}]}
            await append("fields", event, None, f"an event with {shown(name)}")
        await _same_chain(store, kept)
    async with open_store() as store:
        await _same_chain(store, kept)


async def check_events_of_any_size_are_kept_or_refused(open_store: Open) -> None:
    """An event of nothing, a byte or hundreds of kilobytes is read back equal, one of megabytes is refused."""
    kept: list[tuple[str, Mapping[str, Any]]] = []
    async with open_store() as store:
        for event in ({}, *({"text": sign * (size // len(sign.encode()))} for size in TEXT_SIZES for sign in "x\0日")):
            for _ in await taken("an event of some size", store.chain.append(STREAM, "w", event)):
                kept.append(("w", event))  # noqa: PERF401 - one or none
        promise(2 <= len(kept) < 1 + 3 * len(TEXT_SIZES), "small ones are kept, megabytes refused", len(kept))
        await _same_chain(store, kept)


async def _same_chain(store: Store, kept: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    lines = [line async for line in store.chain.scan(STREAM)]
    found = [
        (line["writer"], {name: line.get(name) for name in event})
        for line, (_, event) in zip(lines, kept, strict=False)
    ]
    same((len(lines), found), (len(kept), [(writer, dict(event)) for writer, event in kept]), "what was appended")
    report = await store.chain.verify(STREAM)
    same((report.entries, report.findings), (len(kept), ()), "a whole chain")
    heads = {head.writer for head in await store.chain.heads(STREAM)}
    same(heads, {writer for writer, _ in kept}, "each writer has its head")


# Items


async def check_texts_of_items_are_kept_or_refused(open_store: Open) -> None:
    """Whatever text names a queue, a key or an asker or is in a payload, the item comes back equal, or is not made."""
    async with open_store(FakeClock()) as one, open_store(FakeClock()) as two:
        kept = 0
        for number, name in enumerate(NAMES):
            for new in (
                NewItem(name, {"n": number}),
                NewItem(QUEUE, {"n": number}, key=name, conflict_keys=[name], creator=name, trigger=name),
                NewItem(QUEUE, {f"the {name}": number, "value": name, "deep": [{name: [name]}]}),
            ):
                for item, _ in await taken(f"an item with {shown(name)}", one.items.enqueue(new)):
                    kept += 1
                    same(_given(await two.items.get(item.id)), _given(new), "an item comes back as it was given")
        counts = await two.items.counts()
        same((sum(counts.values()), counts.get("ready")), (kept, kept), "what was refused was not made")
        same(await _all_items(two) == kept, True, "every item is listed")


async def check_texts_of_workers_are_kept_or_refused(open_store: Open) -> None:
    """Whatever text names a worker, is a result or an error, it comes back equal, or the item stays as it was."""
    async with open_store(FakeClock()) as one, open_store(FakeClock()) as two:
        made, _ = await one.items.enqueue(NewItem(QUEUE, {}, max_attempts=100))
        for name in NAMES:
            for claimed in await taken(f"the worker {shown(name)}", one.items.claim(QUEUE, name, 600)):
                [item] = claimed
                found = await two.items.get(made.id)
                same(found.lease and found.lease.holder, name, "the worker is named as it was given")
                assert item.lease is not None
                await two.items.release(item.id, item.lease.token)
            same((await two.items.get(made.id)).state, "ready", "the item waits")
        for name in NAMES[::3]:  # what may be in a payload may be in a result; each of these is three durable steps
            made, _ = await one.items.enqueue(NewItem("results", {}))
            [item] = await one.items.claim("results", "w", 600)
            assert item.lease is not None
            result = {"value": name, name: [name]}
            done = await taken(f"the result {shown(name)}", one.items.complete(item.id, item.lease.token, result))
            state, kept = ("done", result) if done else ("leased", None)
            found = await two.items.get(made.id)
            same((found.state, found.result), (state, kept), "a result comes back as it was given")


async def check_items_of_any_size_are_kept_or_refused(open_store: Open) -> None:
    """A payload and a result of up to hundreds of kilobytes come back equal, of megabytes they are refused."""
    async with open_store() as one, open_store() as two:
        kept = 0
        for size in TEXT_SIZES:
            for sign in "x\0日":
                content = {"text": sign * (size // len(sign.encode()))}
                for item, _ in await taken("a payload of some size", one.items.enqueue(NewItem(QUEUE, content))):
                    kept += 1
                    same((await two.items.get(item.id)).payload == content, True, "a payload comes back")
                    [item] = await one.items.claim(QUEUE, "w", 600)
                    assert item.lease is not None
                    done = await two.items.complete(item.id, item.lease.token, content)
                    same((await one.items.get(item.id)).result == done.result == content, True, "and so does a result")
        promise(2 <= kept < 3 * len(TEXT_SIZES), "small ones are kept, megabytes refused", kept)
        same(dict(await two.items.counts()), {"done": kept}, "what was refused was not made")


async def _all_items(store: Store) -> int:
    count, cursor = 0, None
    while True:
        page, cursor = await store.items.list(limit=100, cursor=cursor)
        count += len(page)
        if cursor is None:
            return count


def _given(item: Item | NewItem) -> tuple[Any, ...]:
    """What of an item whoever enqueues it says."""
    return item.queue, item.payload, item.key, tuple(item.conflict_keys), item.creator, item.trigger


CHECKS: tuple[Check, ...] = (
    check_texts_in_a_chain_are_kept_or_refused,
    check_events_of_any_size_are_kept_or_refused,
    check_texts_of_items_are_kept_or_refused,
    check_texts_of_workers_are_kept_or_refused,
    check_items_of_any_size_are_kept_or_refused,
)
