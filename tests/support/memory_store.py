"""A store in memory, for simulations that run through a year: the promises of the real one, without its disk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import date
from typing import Any

from argosy_core.canonical import canonical_json, sha256_hex
from argosy_core.clock import Clock, rfc3339
from argosy_core.errors import AlreadyExists, Conflict, NotFound, Unavailable
from argosy_core.serving.config import ServerConfig
from argosy_core.storage.base import ABSENT, ANY, Content, Entry, Expect, FileInfo, Head, Item, NewItem
from argosy_core.testing.fakes import SeededIds


class MemoryDocuments:
    """Documents as a dictionary; a write's stamp is the clock's time, and later than the one before."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.contents: dict[str, Content] = {}
        self.lists = 0

    def put(self, path: str, text: str, mtime_ns: int | None = None) -> None:
        """Write as a person does."""
        old = self.contents.get(path)
        stamp = int(self._clock.now().timestamp() * 1e9) if mtime_ns is None else mtime_ns
        if old is not None and mtime_ns is None:
            stamp = max(stamp, old.stamp[0] + 1)
        data = text.encode()
        self.contents[path] = Content(path, data, sha256_hex(data), (stamp, len(data)))

    async def read(self, path: str) -> Content:
        if path not in self.contents:
            raise NotFound(f"there is no {path}")
        return self.contents[path]

    async def info(self, path: str) -> FileInfo | None:
        found = self.contents.get(path)
        return FileInfo(path, found.stamp) if found else None

    async def write(self, path: str, data: bytes, *, expect: Expect = ANY, keep_version: bool = False) -> Content:
        old = self.contents.get(path)
        if expect == ABSENT and old is not None:
            raise AlreadyExists(f"{path} exists")
        if isinstance(expect, str) and expect != ABSENT and (old is None or old.version != expect):
            raise Conflict(f"{path} was changed")
        self.put(path, data.decode())
        return self.contents[path]

    async def remove(self, path: str, *, expect: Expect = ANY) -> None:
        await self.read(path)
        del self.contents[path]

    async def list(self, prefix: str, suffix: str = "", *, deep: bool = False) -> Sequence[FileInfo]:
        self.lists += 1
        found = [p for p in sorted(self.contents) if p.startswith(f"{prefix}/") and p.endswith(suffix)]
        shown = [p for p in found if "/." not in p and (deep or "/" not in p[len(prefix) + 1 :])]
        return [FileInfo(path, self.contents[path].stamp) for path in shown]

    async def folders(self, prefix: str = "") -> Sequence[str]:
        return sorted({path.split("/")[0] for path in self.contents if "/" in path and path[0] != "."})


class MemoryChain:
    """Entries as dictionaries, with keys that hold."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.days: dict[str, dict[date, list[dict[str, Any]]]] = {}
        self._keys: dict[tuple[str, str, str], tuple[bytes, Entry]] = {}
        self._seqs: dict[tuple[str, str], int] = {}

    async def append(
        self,
        stream: str,
        writer: str,
        event: Mapping[str, Any],
        *,
        key: str | None = None,
        expect_seq: int | None = None,
    ) -> Entry:
        event = {**event, "key": key} if key is not None else dict(event)
        if key is not None and (known := self._keys.get((stream, writer, key))):
            if known[0] != canonical_json(event):
                raise Conflict("the key was used for another event")
            return known[1]
        seq = self._seqs[stream, writer] = self._seqs.get((stream, writer), 0) + 1
        entry = Entry(stream, writer, seq, "", "", "", rfc3339(self._clock.now()), event)
        line = {"ts": entry.ts, **event, "writer": writer, "seq": seq}
        self.days.setdefault(stream, {}).setdefault(self._clock.now().date(), []).append(line)
        if key is not None:
            self._keys[stream, writer, key] = canonical_json(event), entry
        return entry

    async def find(self, stream: str, writer: str, key: str) -> Entry | None:
        known = self._keys.get((stream, writer, key))
        return known[1] if known else None

    async def heads(self, stream: str | None = None) -> Sequence[Head]:
        return [Head(s, w, seq, "") for (s, w), seq in sorted(self._seqs.items()) if stream in (None, s)]

    async def scan(
        self, stream: str, *, since: date | None = None, until: date | None = None, newest_first: bool = False
    ) -> AsyncIterator[Mapping[str, Any]]:
        days = [day for day in sorted(self.days.get(stream, {})) if since is None or day >= since]
        for day in reversed(days) if newest_first else days:
            lines = list(self.days[stream][day])
            for line in reversed(lines) if newest_first else lines:
                yield line

    def of_kind(self, kind: str, stream: str = "_fleet") -> list[dict[str, Any]]:
        """The events of one kind."""
        return [line for lines in self.days.get(stream, {}).values() for line in lines if line.get("kind") == kind]


class MemoryItems:
    """Items by key; *refuse* makes the queue fail."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._keys: dict[tuple[str, str], Item] = {}
        self.refuse = False
        self.calls = 0

    async def enqueue(self, new: NewItem) -> tuple[Item, bool]:
        self.calls += 1
        if self.refuse:
            raise Unavailable("the queue is closed")
        assert new.key is not None
        known = self._keys.get((new.queue, new.key))
        if known is not None:
            if known.payload != new.payload:
                raise Conflict("the key was used for another payload")
            return known, True
        item = Item(
            f"item_{len(self.items)}", new.queue, "ready", new.payload, new.key,
            creator=new.creator, grant=new.grant, trigger=new.trigger,
        )  # fmt: skip
        self.items.append(item)
        self._keys[new.queue, new.key] = item
        return item, False

    def slots(self, name: str) -> list[str]:
        """The slots of the items of one trigger."""
        return [str(item.payload["slot"]) for item in self.items if item.trigger == name]


class MemoryBell:
    """Rings for who listens; *watching* is what a test says."""

    def __init__(self) -> None:
        self.watching = False
        self.problem: str | None = None
        self._listeners: list[Callable[[frozenset[str]], None]] = []

    def ring(self, *paths: str) -> None:
        for heard in list(self._listeners):
            heard(frozenset(paths))

    def listen(self, prefix: str, heard: Callable[[frozenset[str]], None]) -> Callable[[], None]:
        self._listeners.append(heard)
        return lambda: self._listeners.remove(heard)


class MemoryStore:
    """What a config takes for a store."""

    def __init__(self, clock: Clock) -> None:
        self.documents = MemoryDocuments(clock)
        self.chain = MemoryChain(clock)
        self.items = MemoryItems()
        self.bell = MemoryBell()
        self.users = 0

    def start(self) -> None:
        self.users += 1

    async def stop(self) -> None:
        self.users -= 1

    def config(self, clock: Clock) -> ServerConfig:
        """A config over it."""
        store: Any = self
        return ServerConfig(store, clock=clock, ids=SeededIds(1))
