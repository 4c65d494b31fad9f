"""The promises of a store to hostile names, texts and sizes, for each primitive. The opener gives a store.

Each is either taken, and then read back as it was given by every handle, or refused by an error of the tree that says
what to do, and then nothing has changed. What a store takes is its own; that it confuses nothing is not.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from argosy_core.storage.base import Store
from argosy_core.testing.conformance import OTHER_STREAM, STREAM, Opener, hostile_texts
from argosy_core.testing.conformance.bell import listening
from argosy_core.testing.conformance.hostile_names import NAMES, SIZES, bytes_of, content_of, shown, taken
from argosy_core.testing.conformance.promises import same
from argosy_core.testing.fakes import FakeClock

Open = Opener[Store]
Check = Callable[[Open], Coroutine[Any, Any, None]]
LAST = f"{STREAM}/last.md"


# Documents


async def check_names_of_documents_are_kept_or_refused(open_store: Open) -> None:
    """Whatever a document's name, it is kept with its own bytes and listed under it, or refused and not made."""
    kept: dict[str, bytes] = {}
    async with open_store() as store:
        for name in NAMES:
            for path in (f"{STREAM}/names/{name}", f"{STREAM}/{name}/x.md"):
                if await taken(f"the path {shown(path)}", store.documents.write(path, content_of(path))):
                    kept[path] = content_of(path)
                else:
                    await taken(f"reading {shown(path)}", _no_document(store, path))
    async with open_store() as store:
        for path, data in kept.items():
            same((await store.documents.read(path)).data, data, f"the bytes of {shown(path)}")
        listed = [info.path for info in await store.documents.list(STREAM, deep=True)]
        seen = {path for path in kept if "/." not in path}
        same(set(listed), seen, "what is listed is what was kept, but for what is hidden")
        same(len(listed), len(seen), "each once")


async def _no_document(store: Store, path: str) -> None:
    """Raises what refuses the path, and Broken when something is there."""
    same(await store.documents.info(path), None, f"nothing at {shown(path)}")


async def check_documents_of_any_size_come_back(open_store: Open) -> None:
    """Nothing, a byte, pages and megabytes of any bytes come back, also in parts and as kept versions."""
    path = f"{STREAM}/sizes.bin"
    async with open_store() as one, open_store() as two:
        before: bytes | None = None
        for size in SIZES:
            data = bytes_of(size)
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


# Leases


async def check_names_of_leases_are_kept_or_refused(open_store: Open) -> None:
    """Whatever the name and the holder of a lease, it is that holder's and nobody else's, or refused and free."""
    clock = FakeClock()
    async with open_store(clock) as one, open_store(clock) as two:
        kept: dict[str, str] = {}
        for name in NAMES:
            if await taken(f"the lease {shown(name)}", one.leases.acquire(name, f"of {len(kept)}", 600)):
                kept[name] = f"of {len(kept)}"
        for name, holder in kept.items():
            held = await two.leases.current(name)
            same((held and held.name, held and held.holder), (name, holder), "each name has its own holder")
        for name in NAMES:
            if await taken(f"the holder {shown(name)}", one.leases.acquire("one for all", name, 600)):
                held = await two.leases.current("one for all")
                same(held and held.holder, name, "the holder is named as it was given")
                assert held is not None
                await two.leases.release(held)
            same(await two.leases.current("one for all"), None, "nobody has it")


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
                    if await taken(f"the path {shown(path)}", two.documents.write(path, b"x")) and "/." not in path:
                        changed.append(path)
                    two.bell.ring(path)
                    same(here.calls[number:], [frozenset({path})], "it is heard at home")
                two.bell.ring(*(f"{STREAM}/{number}/{'日' * 60}.md" for number in range(3_000)))
                await two.documents.write(LAST, b"x")
                two.bell.ring(LAST)
                for path in (*changed, LAST):
                    await ear.until_concerned(path, f"the change of {shown(path)}")
            finally:
                await one.stop()


# Archive


async def check_files_of_any_name_and_size_travel_or_are_refused(open_store: Open) -> None:
    """Whatever a file's path and size, it comes out of the archive byte for byte under its path, or is not in it."""
    kept: dict[str, bytes] = {}
    async with open_store() as store:
        before = set(await store.archive.paths())
        sizes = {f"{OTHER_STREAM}/of {size} bytes": bytes_of(size) for size in SIZES}
        names = {f"{STREAM}/raw/{name}": content_of(name) for name in NAMES}
        for path, data in {**names, **sizes}.items():
            for _ in await taken(f"the file {shown(path)}", store.archive.write(path, data)):
                kept[path] = data
    async with open_store() as store:
        same(set(await store.archive.paths()) - before, set(kept), "the files that were taken are there")
        for path, data in kept.items():
            same(await store.archive.read(path) == data, True, f"the bytes of {shown(path)}")


CHECKS: tuple[Check, ...] = (
    check_names_of_documents_are_kept_or_refused,
    check_documents_of_any_size_come_back,
    check_names_of_leases_are_kept_or_refused,
    check_rings_for_any_path_are_heard,
    check_files_of_any_name_and_size_travel_or_are_refused,
    *hostile_texts.CHECKS,
)
LEASE_CHECKS: tuple[Check, ...] = (check_names_of_leases_are_kept_or_refused,)
BELL_CHECKS: tuple[Check, ...] = (check_rings_for_any_path_are_heard,)
