"""The promises of an `Archive`: a vault as files, whatever it is kept in."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from argosy_core.errors import AlreadyExists, InvalidArgument, NotFound
from argosy_core.storage.base import NewItem, Store
from argosy_core.storage.chain_days import is_day_path
from argosy_core.testing.conformance import FLEET_STREAM, OTHER_STREAM, STREAM, UNICODE_STREAM, Opener
from argosy_core.testing.conformance.promises import promise, refused, same

Open = Opener[Store]
Check = Callable[[Open], Coroutine[Any, Any, None]]
OLDER_LINES = b'{"timestamp": "2025-03-01T08:00:00+00:00", "task": "hello"}\r\n\nnot json\n{"a":1}'
HAND_WRITTEN = b'{"payload":  {"agent": "harbor"}}\n'


async def check_everything_is_a_file(open_store: Open) -> None:
    """Documents, kept versions, logs and items are all among the paths, and can be read; lock files are not."""
    async with open_store() as store:
        first = await store.documents.write("harbor/memory/a.md", b"one")
        await store.documents.write("harbor/memory/a.md", b"two", expect=first.version, keep_version=True)
        await store.documents.write("fleet.md", b"x")
        await store.chain.append(STREAM, "w", {"n": 1})
        await store.chain.append(FLEET_STREAM, "w", {"n": 1})
        item, _ = await store.items.enqueue(NewItem("runs", {"agent": STREAM}))
        paths = list(await store.archive.paths())
        same(paths, sorted(set(paths)), "paths are sorted, each once")
        same(len([path for path in paths if is_day_path(path)]), 2, "a day file for each stream")
        promise(f"_fleet/queue/runs/ready/{item.id}.json" in paths, "the item is a file", paths)
        promise({"fleet.md", "harbor/memory/a.md"} < set(paths), "documents are files", paths)
        promise(any("/.versions/a/" in path for path in paths), "kept versions are files", paths)
        promise(not any(path.startswith(".argosy") for path in paths), "rebuildable state is not", paths)
        same(await store.archive.read("harbor/memory/a.md"), b"two", "a document's bytes")
        for path in paths:
            promise(await store.archive.read(path), "a file has its bytes", path)


async def check_files_that_are_put_in_come_out(open_store: Open) -> None:
    """What is written comes out byte for byte and is what its primitive reads: documents, logs, older logs, items."""
    async with open_store() as one, open_store() as store:
        entries = [await one.chain.append(STREAM, "w", {"n": n}, key=f"k{n}") for n in range(3)]
        day = next(path for path in await one.archive.paths() if is_day_path(path))
        moved = day.replace(STREAM, OTHER_STREAM, 1)
        files = {
            moved: await one.archive.read(day),
            f"{UNICODE_STREAM}/log/2025-03/2025-03-01.jsonl": OLDER_LINES,
            "harbor/raw/pixel.png": bytes(range(256)),
            "harbor/.obsidian/app.json": b"{}",
            "harbor/memory/日本.md": "日本\r\n".encode(),
            "_fleet/queue/runs/ready/by_hand.json": HAND_WRITTEN,
            "harbor/empty.md": b"",
        }
        for path, data in files.items():
            await store.archive.write(path, data)
        for path, data in files.items():
            same(await store.archive.read(path), data, f"{path} comes out as it was put in")
        promise(set(files) <= set(await store.archive.paths()), "all are among the paths", files)
        same((await store.documents.read("harbor/memory/日本.md")).data, files["harbor/memory/日本.md"], "a document")
        lines = (await store.chain.read_on(OTHER_STREAM)).lines
        same(len(lines), len(entries), "the lines of a log are its chain's")
        found = [(finding.kind, finding.seq) for finding in (await store.chain.verify(OTHER_STREAM)).findings]
        same(found[:1], [("moved", 1)], "which knows that they were another's")
        same((await store.items.get("by_hand")).payload, {"agent": "harbor"}, "an item")


async def check_a_log_that_was_put_in_goes_on(open_store: Open) -> None:
    """After the files of a log were put in, keys are remembered, numbers go on, and the chain is whole."""
    async with open_store() as store:
        entries = [await store.chain.append(STREAM, "w", {"n": n}, key=f"k{n}") for n in range(3)]
        files = {path: await store.archive.read(path) for path in await store.archive.paths()}
        same([(head.seq, head.hash) for head in await store.chain.heads(STREAM)], [(3, entries[-1].hash)], "the head")
        promise(any(is_day_path(path) for path in files), "the log is among the files", list(files))
        with refused(AlreadyExists, what="a day file that is there"):
            await store.archive.write(next(path for path in files if is_day_path(path)), b"{}\n")


async def check_nothing_is_overwritten(open_store: Open) -> None:
    """A file that is there is AlreadyExists, one that is not NotFound, a path out of the vault InvalidArgument."""
    async with open_store() as store:
        await store.archive.write("harbor/a.md", b"one")
        with refused(AlreadyExists, what="a path that is taken"):
            await store.archive.write("harbor/a.md", b"two")
        same(await store.archive.read("harbor/a.md"), b"one", "what was there stays")
        for missing in ("harbor/b.md", f"{STREAM}/log/2025-03/2025-03-01.jsonl", "_fleet/queue/runs/ready/x.json"):
            with refused(NotFound, what=f"{missing}, which is not there,"):
                await store.archive.read(missing)
        for path in ("../x", "/etc/passwd", "a//b", "a/\0"):
            with refused(InvalidArgument, what=f"the path {path!r}"):
                await store.archive.write(path, b"")


async def check_large_files_travel(open_store: Open) -> None:
    """A file above the limit of a document travels all the same: a log of many days' work is one."""
    async with open_store() as store:
        line = b'{"text": "' + b"x" * 1000 + b'"}\n'
        data = line * (17 * 1024)
        path = f"{STREAM}/log/2025-03/2025-03-01.jsonl"
        await store.archive.write(path, data)
        same(len(await store.archive.read(path)), len(data), "all of it")


CHECKS: tuple[Check, ...] = (
    check_everything_is_a_file,
    check_files_that_are_put_in_come_out,
    check_a_log_that_was_put_in_goes_on,
    check_nothing_is_overwritten,
    check_large_files_travel,
)
