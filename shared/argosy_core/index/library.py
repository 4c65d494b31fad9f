"""The index kept true to the vault: every file it should hold, at the stamp the disk has.

Own writes are put in as they happen. What others write is heard on the bell; what nobody rang for (before watching
began, or while it was down) is found by comparing stamps. All calls block: use them off the event loop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError, NotFound
from argosy_core.index.document_index import DocumentIndex
from argosy_core.index.documents import IndexedDocument
from argosy_core.index.sync import reconcile
from argosy_core.storage.base import Store

FILE = "index.sqlite"
OWN_KEPT = 10_000
CLOSE_SECONDS = 5.0
TIDY_EVERY = 500  # documents written one by one
RECHECK_SECONDS = 30.0  # without watching, how old a comparison with the disk may be before the next search repeats it

MakeDocument = Callable[[str, str, bytes, tuple[int, int]], IndexedDocument | None]
"""(agent, vault-relative path, bytes, stamp) → what the index holds of the file; None for nothing."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """One scope's files: all in *folder* of an agent that end in *suffix*, below it too when *deep*."""

    scope: str
    folder: str
    suffix: str = ".md"
    deep: bool = False


@dataclass(slots=True)
class _Seen:
    """When the files of one agent and scope were last compared with the index."""

    generation: str
    at: float


class Library:
    """The index of some shelves of one vault."""

    def __init__(self, store: Store, clock: Clock, shelves: Iterable[Shelf], make: MakeDocument) -> None:
        self._files = store.files
        self._clock = clock
        self._shelves = {shelf.scope: shelf for shelf in shelves}
        self._make = make
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._dirty: set[str] = set()
        # Stamps of own writes: the watcher reports them too, and they are in the index already.
        self._own: dict[str, tuple[int, int]] = {}
        self._bell = store.bell
        self._guard = threading.Lock()
        self._waiting: dict[str, IndexedDocument] = {}
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._untidy: dict[str, int] = {}
        self._filling = threading.Lock()
        self.index = DocumentIndex(store.state_path(FILE), clock=clock)
        self._stop_listening = store.bell.listen("", self._heard)

    def close(self) -> None:
        """Take in what waits, stop listening and close the index. Idempotent."""
        self._stop_listening()
        with self._guard:
            closed, self._closed = self._closed, True
            thread = self._thread
        self._wake.set()
        if thread is not None:
            thread.join(timeout=CLOSE_SECONDS)
        if not closed:
            with suppress(ArgosyError), self._filling:
                self._take_waiting()
        self.index.close()

    def put(self, document: IndexedDocument) -> None:
        """Take in a file that was just written, in a thread of its own and at the latest before the next search.

        Writers do not wait for the index: it is a projection, and what arrives together goes in together.
        """
        with self._guard:
            if len(self._own) >= OWN_KEPT:
                self._own.clear()
            self._own[document.path] = document.stamp
            self._waiting[document.path] = document
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="argosy-index", daemon=True)
                self._thread.start()
        self._wake.set()

    def _work(self) -> None:
        while self._wake.wait() and not self._closed:
            self._wake.clear()
            # A failing index is mended by the next comparison; the documents are safe on disk.
            with suppress(ArgosyError), self._filling:
                self._take_waiting()
            with suppress(ArgosyError):
                self._tidy()

    def _take_waiting(self) -> None:
        with self._guard:
            waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        self.index.put(*waiting.values())
        for document in waiting.values():
            self._untidy[document.agent] = self._untidy.get(document.agent, 0) + 1

    def _tidy(self) -> None:
        """Merge what many small writes left behind: without it searching slows down."""
        for agent in [agent for agent, count in self._untidy.items() if count >= TIDY_EVERY]:
            del self._untidy[agent]
            self.index.tidy(agent)

    def fresh(self, agent: str, scopes: Iterable[str]) -> DocumentIndex:
        """The index, after what is known to have changed in *scopes* of *agent* was taken in."""
        with self._filling:
            self._take_waiting()
            self._take_dirty()
            for scope in scopes:
                self._compare(agent, self._shelves[scope])
        return self.index

    def _heard(self, paths: frozenset[str]) -> None:
        with self._guard:
            if "" in paths:
                self._seen.clear()
            self._dirty |= paths - {""}

    def _take_dirty(self) -> None:
        with self._guard:
            dirty, self._dirty = self._dirty, set()
        documents: list[IndexedDocument] = []
        gone: list[str] = []
        for path in dirty:
            agent, _, rest = path.partition("/")
            if self._shelf_of(rest) is None or self._is_own(path):
                continue
            document = self._load(agent, path)
            if document is None:
                gone.append(path)
            else:
                documents.append(document)
        if documents or gone:
            self.index.apply(documents, gone)

    def _is_own(self, path: str) -> bool:
        with self._guard:
            stamp = self._own.get(path)
        info = self._files.info(path) if stamp else None
        return info is not None and info.stamp == stamp

    def _shelf_of(self, rest: str) -> Shelf | None:
        for shelf in self._shelves.values():
            inside = rest.startswith(f"{shelf.folder}/") and rest.endswith(shelf.suffix)
            if inside and (shelf.deep or rest.count("/") == 1):
                return shelf
        return None

    def _compare(self, agent: str, shelf: Shelf) -> None:
        seen = self._seen.get((agent, shelf.scope))
        generation = self.index.generation
        now = self._clock.monotonic()
        fresh = seen is not None and (self._bell.watching or now - seen.at < RECHECK_SECONDS)
        if seen and fresh and seen.generation == generation:
            return
        folder = f"{agent}/{shelf.folder}"
        infos = self._files.walk(folder, shelf.suffix) if shelf.deep else self._files.files(folder, shelf.suffix)
        listing: Mapping[str, tuple[int, int]] = {info.path: info.stamp for info in infos}
        reconcile(self.index, agent, shelf.scope, listing.items(), lambda path: self._load(agent, path))
        self._seen[agent, shelf.scope] = _Seen(self.index.generation, now)

    def _load(self, agent: str, path: str) -> IndexedDocument | None:
        try:
            content = self._files.read(path)
        except NotFound:
            return None
        except ArgosyError:
            return None  # unreadable: doctor names it; the others go on
        return self._make(agent, path, content.data, content.stamp)
