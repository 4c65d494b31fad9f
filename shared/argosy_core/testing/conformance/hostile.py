"""The promises of a store to hostile names, texts and sizes, for each primitive. The opener gives a store.

Each is either taken, and then read back as it was given by every handle, or refused by an error of the tree that says
what to do, and then nothing has changed. What a store takes is its own; that it confuses nothing is not.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from argosy_core.errors import ArgosyError
from argosy_core.storage.base import Item, NewItem, Store
from argosy_core.testing.conformance import OTHER_STREAM, STREAM, Opener
from argosy_core.testing.conformance.bell import listening
from argosy_core.testing.conformance.promises import Broken, promise, same
from argosy_core.testing.fakes import FakeClock

T = TypeVar("T")
Open = Opener[Store]
Check = Callable[[Open], Coroutine[Any, Any, None]]
QUEUE = "hostile"
LAST = f"{STREAM}/last.md"
MIB = 1024 * 1024
NAMES = (
    # One text in two spellings, on some file systems or in some collations.
    *("é", "e\u0301", "\u00c5", "A\u030a", "\u212b", "\ufb01sh", "fish", "ß", "ss", "ı", "i", "İ", "Σ", "ς", "σ", "Ａ"),
    *("🚢", "👩\u200d👩\u200d👧", "🇳🇴", "日本", "हिन्दी", "שלום", "𝔘", "\u0e01\u0e33"),
    # Dots, slashes, and what other systems take for them or for devices.
    *(
        ".",
        "..",
        "...",
        ".hidden",
        "a.",
        ".a.",
        "a.b.c",
        "a..b",
        "a/b",
        "a//b",
        "/a",
        "a/",
        "../a",
        "a/../b",
        "./a",
        "a/.",
    ),
    *("a\\b", "C:\\a", "C:a", "\u2215", "\uff0f", "CON", "nul.txt", "com1", "a:b", "a::$DATA", "~", "~root", "-rf"),
    # Control characters, what hides, and what other languages read something into.
    *("a\0b", "a\nb", "a\rb", "a\tb", "a\x1b[2Jb", "a\x7fb", "a\x85b", "a\u2028b", "\ufeffa", "a\u202eb", "a\u200bb"),
    *("a\u00adb", "\ud800", "a\udfffb", "\U000e0041", "\uffff", " ", " a", "a ", "\u00a0", "\u3000"),
    *(
        "%2e%2e",
        "%00",
        "a%b_c",
        "a'b",
        'a"b',
        "';--",
        "$(id)",
        "`id`",
        "{{secret:A}}",
        "a,b",
        "[a]",
        "{a}",
        "*",
        "?",
        "<a>",
    ),
    # Sizes.
    *("", "x", "x" * 119, "x" * 120, "x" * 121, "x" * 200, "x" * 201, "日" * 66, "日" * 67, "日" * 120, "x" * 5_000),
)
SIZES = (0, 1, 4_095, 4_096, 65_537, 3 * MIB + 1)
TEXT_SIZES = (1, 4_096, 65_537, 200_000, 3 * MIB)


async def _taken(what: str, call: Coroutine[Any, Any, T]) -> list[T]:
    """What *call* came to, alone; nothing when it was refused as it should be. Raises Broken."""
    try:
        return [await call]
    except ArgosyError as error:
        promise(error.hint, f"the error that refuses {what} says what to do", error)
        return []
    except Exception as error:
        raise Broken(f"promised: {what} is taken or refused; came: {type(error).__name__}: {error}") from error


def _bytes_of(size: int) -> bytes:
    """*size* bytes of every value, in no period of a power of two."""
    period = bytes(range(256)) + b"\r\n\0"
    return (period * (size // len(period) + 1))[:size]


def _content(name: str) -> bytes:
    return b"of " + name.encode("utf-8", "surrogatepass")


def _shown(name: str) -> str:
    return f"{name[:40]!a} of {len(name)} characters"


# Documents


async def check_names_of_documents_are_kept_or_refused(open_store: Open) -> None:
    """Whatever a document's name, it is kept with its own bytes and listed under it, or refused and not made."""
    kept: dict[str, bytes] = {}
    async with open_store() as store:
        for name in NAMES:
            for path in (f"{STREAM}/names/{name}", f"{STREAM}/{name}/x.md"):
                if await _taken(f"the path {_shown(path)}", store.documents.write(path, _content(path))):
                    kept[path] = _content(path)
                else:
                    await _taken(f"reading {_shown(path)}", _no_document(store, path))
    async with open_store() as store:
        for path, data in kept.items():
            same((await store.documents.read(path)).data, data, f"the bytes of {_shown(path)}")
        listed = [info.path for info in await store.documents.list(STREAM, deep=True)]
        seen = {path for path in kept if "/." not in path}
        same(set(listed), seen, "what is listed is what was kept, but for what is hidden")
        same(len(listed), len(seen), "each once")


async def _no_document(store: Store, path: str) -> None:
    """Raises what refuses the path, and Broken when something is there."""
    same(await store.documents.info(path), None, f"nothing at {_shown(path)}")


async def check_documents_of_any_size_come_back(open_store: Open) -> None:
    """Nothing, a byte, pages and megabytes of any bytes come back, also in parts and as kept versions."""
    path = f"{STREAM}/sizes.bin"
    async with open_store() as one, open_store() as two:
        before: bytes | None = None
        for size in SIZES:
            data = _bytes_of(size)
            await one.documents.write(path, data, keep_version=True)
            same((await two.documents.read(path)).data == data, True, f"{size} bytes come back")
            info = await two.documents.info(path)
            same(info and info.stamp[1], size, "the stamp has the size")
            middle = size // 2
            same(
                await two.documents.read_from(path, middle, 999) == data[middle : middle + 999], True, "a part of them"
            )
            if before is not None:
                newest = (await two.documents.versions(path))[0]
                same((await two.documents.read(newest.path)).data == before, True, "what was there before is kept")
            before = data


# Chain


async def check_texts_in_a_chain_are_kept_or_refused(open_store: Open) -> None:
    """Whatever text is a writer, a key, a field or a value, its entry is read back equal, or it is not in the chain."""
    kept: list[tuple[str, Mapping[str, Any]]] = []
    async with open_store() as store:

        async def append(writer: str, event: Mapping[str, Any], key: str | None, what: str) -> None:
            for entry in await _taken(what, store.chain.append(STREAM, writer, event, key=key)):
                kept.append((writer, event))
                if key is not None:
                    same(await store.chain.find(STREAM, writer, key), entry, "a key finds its own entry")

        for number, name in enumerate(NAMES):
            await append(name, {"n": number}, None, f"the writer {_shown(name)}")
            await append("keys", {"of": number}, name, f"the key {_shown(name)}")
            event = {f"the {name}": number, "value": name, "deep": [{name: [name]}]}
            await append("fields", event, None, f"an event with {_shown(name)}")
        await _same_chain(store, kept)
    async with open_store() as store:
        await _same_chain(store, kept)


async def check_events_of_any_size_are_kept_or_refused(open_store: Open) -> None:
    """An event of nothing, a byte or hundreds of kilobytes is read back equal, one of megabytes is refused."""
    kept: list[tuple[str, Mapping[str, Any]]] = []
    async with open_store() as store:
        for event in ({}, *({"text": sign * (size // len(sign.encode()))} for size in TEXT_SIZES for sign in "x\0日")):
            taken = await _taken("an event of some size", store.chain.append(STREAM, "w", event))
            kept += [("w", event)] * len(taken)
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


# Leases


async def check_names_of_leases_are_kept_or_refused(open_store: Open) -> None:
    """Whatever the name and the holder of a lease, it is that holder's and nobody else's, or refused and free."""
    clock = FakeClock()
    async with open_store(clock) as one, open_store(clock) as two:
        kept: dict[str, str] = {}
        for name in NAMES:
            if await _taken(f"the lease {_shown(name)}", one.leases.acquire(name, f"of {len(kept)}", 600)):
                kept[name] = f"of {len(kept)}"
        for name, holder in kept.items():
            held = await two.leases.current(name)
            same((held and held.name, held and held.holder), (name, holder), "each name has its own holder")
        for name in NAMES:
            if await _taken(f"the holder {_shown(name)}", one.leases.acquire("one for all", name, 600)):
                held = await two.leases.current("one for all")
                same(held and held.holder, name, "the holder is named as it was given")
                assert held is not None
                await two.leases.release(held)
            same(await two.leases.current("one for all"), None, "nobody has it")


# Items


async def check_texts_of_items_are_kept_or_refused(open_store: Open) -> None:
    """Whatever text names a queue, a key or an asker or is in a payload, the item comes back equal, or is not made."""
    async with open_store(FakeClock()) as one, open_store(FakeClock()) as two:
        kept = 0
        for number, name in enumerate(NAMES):
            for new in (
                NewItem(name, {"n": number}),
                NewItem(QUEUE, {"n": number}, key=name),
                NewItem(QUEUE, {"n": number}, conflict_keys=[name], creator=name, trigger=name),
                NewItem(QUEUE, {f"the {name}": number, "value": name, "deep": [{name: [name]}]}),
            ):
                for item, _ in await _taken(f"an item with {_shown(name)}", one.items.enqueue(new)):
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
            for claimed in await _taken(f"the worker {_shown(name)}", one.items.claim(QUEUE, name, 600)):
                [item] = claimed
                found = await two.items.get(made.id)
                same(found.lease and found.lease.holder, name, "the worker is named as it was given")
                assert item.lease is not None
                await two.items.release(item.id, item.lease.token)
            same((await two.items.get(made.id)).state, "ready", "the item waits")
        for name in NAMES:
            made, _ = await one.items.enqueue(NewItem("results", {}))
            [item] = await one.items.claim("results", "w", 600)
            assert item.lease is not None
            result = {"value": name, name: [name]}
            done = await _taken(f"the result {_shown(name)}", one.items.complete(item.id, item.lease.token, result))
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
                for item, _ in await _taken("a payload of some size", one.items.enqueue(NewItem(QUEUE, content))):
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


# Bell


async def check_rings_for_any_path_are_heard(open_store: Open) -> None:
    """Whatever is rung, by its own name or in a crowd, nothing is raised, and others hear of what changed."""
    async with open_store() as one, open_store() as two:
        with listening(one.bell) as ear, listening(two.bell) as here:
            one.start()
            try:
                await ear.until("", "the beginning of watching")
                ear.calls.clear()
                changed: list[str] = []
                for number, name in enumerate(NAMES):
                    path = f"{STREAM}/rung/{name}"
                    if await _taken(f"the path {_shown(path)}", two.documents.write(path, b"x")) and "/." not in path:
                        changed.append(path)
                    two.bell.ring(path)
                    same(here.calls[number:], [frozenset({path})], "it is heard at home")
                two.bell.ring(*(f"{STREAM}/{number}/{'日' * 60}.md" for number in range(3_000)))
                await two.documents.write(LAST, b"x")
                two.bell.ring(LAST)
                for path in (*changed, LAST):
                    await ear.until_concerned(path, f"the change of {_shown(path)}")
            finally:
                await one.stop()


# Archive


async def check_files_of_any_name_and_size_travel_or_are_refused(open_store: Open) -> None:
    """Whatever a file's path and size, it comes out of the archive byte for byte under its path, or is not in it."""
    kept: dict[str, bytes] = {}
    async with open_store() as store:
        before = set(await store.archive.paths())
        sizes = {f"{OTHER_STREAM}/of {size} bytes": _bytes_of(size) for size in SIZES}
        names = {f"{STREAM}/raw/{name}": _content(name) for name in NAMES}
        for path, data in {**names, **sizes}.items():
            for _ in await _taken(f"the file {_shown(path)}", store.archive.write(path, data)):
                kept[path] = data
    async with open_store() as store:
        same(set(await store.archive.paths()) - before, set(kept), "the files that were taken are there")
        for path, data in kept.items():
            same(await store.archive.read(path) == data, True, f"the bytes of {_shown(path)}")


CHECKS: tuple[Check, ...] = (
    check_names_of_documents_are_kept_or_refused,
    check_documents_of_any_size_come_back,
    check_texts_in_a_chain_are_kept_or_refused,
    check_events_of_any_size_are_kept_or_refused,
    check_names_of_leases_are_kept_or_refused,
    check_texts_of_items_are_kept_or_refused,
    check_texts_of_workers_are_kept_or_refused,
    check_items_of_any_size_are_kept_or_refused,
    check_rings_for_any_path_are_heard,
    check_files_of_any_name_and_size_travel_or_are_refused,
)
LEASE_CHECKS: tuple[Check, ...] = (check_names_of_leases_are_kept_or_refused,)
BELL_CHECKS: tuple[Check, ...] = (check_rings_for_any_path_are_heard,)
