"""The index kept true to the vault: every file it should hold, at the stamp the disk has.

Own writes are put in as they happen. What others write is heard on the bell; what nobody rang for (before watching
began, or while it was down) is found by comparing stamps. All calls block: use them off the event loop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError, NotFound, Unavailable
from argosy_core.index.documents import IndexedDocument, Stamp
from argosy_core.index.face import Index
from argosy_core.index.filling import Fills, Progress, Shelf
from argosy_core.index.opening import open_index
from argosy_core.storage.base import Store

__all__ = ["Library", "MakeDocument", "Progress", "Shelf", "StillFilling"]
OWN_KEPT = 10_000
CLOSE_SECONDS = 5.0
TIDY_EVERY = 500  # documents written one by one
GATHER_SECONDS = 0.05  # what is written within it goes into the index together
# How long a search waits for a comparison with the disk before it answers without: for the first of all, and for one
# that repeats what was done before and seldom finds anything.
PATIENCE_SECONDS = 1.5
REPEAT_PATIENCE_SECONDS = 0.3

MakeDocument = Callable[[str, str, bytes, tuple[int, int]], IndexedDocument | None]
"""(agent, vault-relative path, bytes, stamp) → what the index holds of the file; None for nothing."""


class StillFilling(Unavailable):
    """Raised to who needs the whole index while it holds a part."""


class Library:
    """The index of some shelves of one vault."""

    def __init__(self, store: Store, clock: Clock, shelves: Iterable[Shelf], make: MakeDocument) -> None:
        self._files = store.files
        self._bell = store.bell
        self._clock = clock
        self._shelves = {shelf.scope: shelf for shelf in shelves}
        self._make = make
        self._dirty: set[str] = set()
        # Stamps of own writes: the watcher reports them too, and they are in the index already.
        self._own: dict[str, Stamp] = {}
        self._guard = threading.Lock()
        self._waiting: dict[str, Callable[[], IndexedDocument]] = {}
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._untidy: dict[str, int] = {}
        self._taking = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._was_watching = store.bell.watching
        self.index: Index = open_index(store, clock)
        self._fills = Fills(self.index, store, clock, self._load, self._tell)
        self._stop_listening = store.bell.listen("", self._heard)

    def close(self) -> None:
        """Take in what waits, stop listening and close the index. Idempotent."""
        self._stop_listening()
        with self._guard:
            closed = self._stop.is_set()
            self._stop.set()
            thread = self._thread
        self._wake.set()
        if thread is not None:
            thread.join(timeout=CLOSE_SECONDS)
        self._fills.close(CLOSE_SECONDS)
        if not closed:
            with suppress(ArgosyError):
                self._take_in()
        self.index.close()

    def on_change(self, told: Callable[[], None]) -> None:
        """Call *told* after documents went into the index and after each comparison, from a thread of the library's
        own. It must not block."""
        self._listeners.append(told)

    def _tell(self) -> None:
        for told in self._listeners:
            told()

    def put(self, path: str, stamp: Stamp, make: Callable[[], IndexedDocument]) -> None:
        """Take in the file at *path*, just written with *stamp*, as what *make* gives: in a thread of its own, and at
        the latest before the next search.

        Writers do not wait for the index: it is a projection, and what arrives together goes in together.
        """
        with self._guard:
            if len(self._own) >= OWN_KEPT:
                self._own.clear()
            self._own[path] = stamp
            self._waiting[path] = make
        self._call_worker()

    def _call_worker(self) -> None:
        if self._wake.is_set():
            return
        with self._guard:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._work, name="argosy-index", daemon=True)
                self._thread.start()
        self._wake.set()

    def _work(self) -> None:
        while self._wake.wait() and not self._stop.wait(GATHER_SECONDS):
            self._wake.clear()
            # A failing index is mended by the next comparison; the documents are safe on disk.
            with suppress(ArgosyError):
                self._take_in()
                self._tell()
                self._tidy()

    def _take_in(self) -> None:
        with self._taking:
            self._take_waiting()
            self._take_dirty()

    def _take_waiting(self) -> None:
        with self._guard:
            waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        documents = [make() for make in waiting.values()]
        self.index.put(*documents)
        for document in documents:
            self._untidy[document.agent] = self._untidy.get(document.agent, 0) + 1

    def _tidy(self) -> None:
        """Merge what many small writes left behind: without it searching slows down."""
        for agent in [agent for agent, count in self._untidy.items() if count >= TIDY_EVERY]:
            del self._untidy[agent]
            self.index.tidy(agent)

    def fresh(self, agent: str, scopes: Iterable[str], patience_seconds: float | None = None) -> Index:
        """The index, after what is known to have changed in *scopes* of *agent* was taken in.

        A comparison with the disk that is due is waited for at most *patience_seconds* (by default a moment, longer
        when there never was one); it goes on in a thread of its own, and `progress` tells how far it is.
        """
        self._take_in()
        shelves = [self._shelves[scope] for scope in scopes]
        if due := self._fills.begin(agent, shelves):
            patience = self._patience(agent, shelves) if patience_seconds is None else patience_seconds
            self._fills.wait(due, patience)
        return self.index

    def _patience(self, agent: str, shelves: Iterable[Shelf]) -> float:
        is_first = any(self.index.needs_rebuild(agent, shelf.scope) for shelf in shelves)
        return PATIENCE_SECONDS if is_first else REPEAT_PATIENCE_SECONDS

    def whole(self, agent: str, scopes: Iterable[str], patience_seconds: float = 0.0) -> Index:
        """As `fresh`, for who would be misled by a part. Raises StillFilling while the index is being filled."""
        wanted = tuple(scopes)
        index = self.fresh(agent, wanted, patience_seconds)
        if self.progress(agent, wanted) is not None:
            raise StillFilling("the search index is being filled", hint="try again in a moment")
        return index

    def progress(self, agent: str, scopes: Iterable[str]) -> Progress | None:
        """How far comparing the index with the disk is; None when nothing is under way but a mere repeat."""
        return self._fills.progress(agent, scopes)

    @property
    def is_filling(self) -> bool:
        """Whether any comparison is under way that is not a mere repeat."""
        return self._fills.is_busy

    @property
    def watching(self) -> bool:
        """Whether changes by others are heard, and not only found by comparing."""
        return self._bell.watching

    @property
    def not_watched(self) -> str | None:
        """Why changes by others are not heard any more; comparing still finds them, half a minute later at most."""
        return self._bell.problem

    def compared_seconds_ago(self, agent: str, scope: str) -> float | None:
        """When *scope* was last compared with the disk; None when it never was."""
        return self._fills.seconds_ago(agent, self._shelves[scope])

    @property
    def waiting(self) -> int:
        """How many writes are not in the index yet."""
        with self._guard:
            return len(self._waiting) + len(self._dirty)

    def _heard(self, paths: frozenset[str]) -> None:
        if "" in paths and self._watching_began():
            self._fills.repeat()
        elif any(self._has_shelves(path) for path in paths):
            self._fills.distrust()
        with self._guard:
            named = {path for path in paths if path and self._shelf_of(path.partition("/")[2])}
            self._dirty |= named
        if named:
            self._call_worker()

    def _watching_began(self) -> bool:
        """Whether it has since the last call. Then the bell rings for anything, and most often nothing changed."""
        was_watching, self._was_watching = self._was_watching, self._bell.watching
        return self._was_watching and not was_watching

    def _has_shelves(self, path: str) -> bool:
        """Whether *path* is the vault, an agent's folder or a shelf's: then anything in it may have changed."""
        inside = path.partition("/")[2]
        return not inside or any(inside == shelf.folder for shelf in self._shelves.values())

    def _take_dirty(self) -> None:
        with self._guard:
            dirty, self._dirty = self._dirty, set()
        documents: list[IndexedDocument] = []
        gone: list[str] = []
        for path in dirty:
            if self._is_own(path):
                continue
            document = self._load(path.partition("/")[0], path)
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
        return next((shelf for shelf in self._shelves.values() if shelf.holds(rest)), None)

    def _load(self, agent: str, path: str) -> IndexedDocument | None:
        try:
            content = self._files.read(path)
        except NotFound:
            return None
        except ArgosyError:
            return None  # unreadable: doctor names it; the others go on
        return self._make(agent, path, content.data, content.stamp)
