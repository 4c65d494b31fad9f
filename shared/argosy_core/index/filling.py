"""Comparing the index with the disk, shelf by shelf, in a thread that searches do not have to wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from argosy_core.clock import Clock
from argosy_core.errors import Unavailable
from argosy_core.index.documents import IndexedDocument, Stamp
from argosy_core.index.face import Index
from argosy_core.index.sync import agrees, reconcile
from argosy_core.storage.base import Store

# A comparison that takes long is not begun twice because watching began in its middle.
MANY = 20_000
WATCHING_SECONDS = 1.0
RECHECK_SECONDS = 30.0  # without watching, how old a comparison with the disk may be before the next search repeats it

Load = Callable[[str, str], IndexedDocument | None]


@dataclass(frozen=True, slots=True)
class Shelf:
    """One scope's files: all in *folder* of an agent that end in *suffix*, below it too when *deep*."""

    scope: str
    folder: str
    suffix: str = ".md"
    deep: bool = False

    def holds(self, path: str) -> bool:
        """Whether *path*, relative to the agent's folder, is one of its files."""
        inside = path.startswith(f"{self.folder}/") and path.endswith(self.suffix)
        return inside and (self.deep or path.count("/") == 1)


@dataclass(frozen=True, slots=True)
class Progress:
    """*done* of *total* files that differ were looked at; *total* is 0 while they are still being listed."""

    done: int
    total: int


@dataclass(slots=True)
class _Seen:
    """When the files of one agent and scope were last compared with the index."""

    generation: str
    at: float


@dataclass(slots=True)
class Fill:
    """One comparison: waiting, running or over.

    A routine one repeats what was compared a moment ago, and nothing is known to have changed. What was listed for an
    outdated one may be older than a change; one that is followed is repeated at once.
    """

    agent: str
    shelf: Shelf
    progress: Progress = Progress(0, 0)
    error: Exception | None = None
    has_listed: bool = False
    is_routine: bool = False
    is_outdated: bool = False
    is_followed: bool = False
    finished: threading.Event = field(default_factory=threading.Event)


class Fills:
    """The comparisons of one index with one store: at most one runs at a time, each shelf's once."""

    def __init__(self, index: Index, store: Store, clock: Clock, load: Load, over: Callable[[], None]) -> None:
        """*over* is called after each, from the thread that made it."""
        self._index = index
        self._files = store.files
        self._bell = store.bell
        self._clock = clock
        self._load = load
        self._over = over
        self._seen: dict[tuple[str, Shelf], _Seen] = {}
        self._due: dict[tuple[str, Shelf], Fill] = {}
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._distrusted = threading.Event()

    def begin(self, agent: str, shelves: Sequence[Shelf]) -> Sequence[Fill]:
        """What is under way or was due for *shelves*; what was due has begun."""
        return [fill for shelf in shelves if (fill := self._begun(agent, shelf))]

    def wait(self, fills: Sequence[Fill], patience_seconds: float) -> None:
        """Wait for *fills*, but not longer than *patience_seconds*. Raises what one of them failed with."""
        deadline = self._clock.monotonic() + patience_seconds
        for fill in fills:
            fill.finished.wait(max(0.0, deadline - self._clock.monotonic()))
            if fill.error is not None:
                raise fill.error

    def progress(self, agent: str, scopes: Iterable[str]) -> Progress | None:
        """The sum of what is under way for *scopes* and not routine; None when nothing is."""
        wanted = set(scopes)
        with self._guard:
            under_way = [
                fill.progress
                for fill in self._due.values()
                if fill.agent == agent and fill.shelf.scope in wanted and not fill.is_routine
            ]
        if not under_way:
            return None
        return Progress(sum(each.done for each in under_way), sum(each.total for each in under_way))

    @property
    def is_busy(self) -> bool:
        """Whether any comparison is under way that is not routine."""
        with self._guard:
            return not all(fill.is_routine for fill in self._due.values())

    def seconds_ago(self, agent: str, shelf: Shelf) -> float | None:
        """How long ago *shelf* was last compared."""
        seen = self._seen.get((agent, shelf))
        return self._clock.monotonic() - seen.at if seen else None

    def distrust(self) -> None:
        """Anything may have changed: compare again what was compared, without waiting for a search."""
        with self._guard:
            again, self._seen = list(self._seen), {}
            for fill in self._due.values():
                fill.is_outdated |= fill.has_listed  # what is listed later has what changed before
                fill.is_routine = False
        self._again(again)

    def repeat(self) -> None:
        """As `distrust`, where nothing is known to have changed: meanwhile what was compared is still believed."""
        with self._guard:
            again = list(self._seen)
            for fill in self._due.values():
                fill.is_followed |= fill.has_listed
        self._again(again, is_routine=True)

    def _again(self, compared: Iterable[tuple[str, Shelf]], *, is_routine: bool = False) -> None:
        self._distrusted.set()
        for agent, shelf in compared:
            with suppress(Unavailable):
                self._begin(agent, shelf, is_routine=is_routine)

    def close(self, wait_seconds: float) -> None:
        """End: a comparison under way stops at its next batch, and is taken up by the next start."""
        with self._guard:
            self._closed = True
            thread = self._thread
        if thread is not None:
            thread.join(timeout=wait_seconds)

    def _begun(self, agent: str, shelf: Shelf) -> Fill | None:
        seen = self._seen.get((agent, shelf))
        fresh = seen is not None and (self._bell.watching or self._is_recent(seen))
        if seen and fresh and seen.generation == self._index.generation:
            return self._due.get((agent, shelf))
        return self._begin(agent, shelf)

    def _is_recent(self, seen: _Seen) -> bool:
        return self._clock.monotonic() - seen.at < RECHECK_SECONDS

    def _begin(self, agent: str, shelf: Shelf, *, is_routine: bool = False) -> Fill:
        with self._guard:
            if self._closed:
                raise Unavailable("the search index is closed")
            fill = self._due.get((agent, shelf))
            if fill is None:
                fill = self._due[agent, shelf] = Fill(agent, shelf, is_routine=is_routine)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="argosy-fill", daemon=True)
                self._thread.start()
            return fill

    def _work(self) -> None:
        while (fill := self._next()) is not None:
            try:
                self._compare(fill)
            except Exception as error:  # whoever waits is told; the next search tries again
                fill.error = error
            finally:
                with self._guard:
                    del self._due[fill.agent, fill.shelf]
                    if fill.is_followed and not self._closed:
                        following = Fill(fill.agent, fill.shelf, is_routine=not fill.is_outdated)
                        self._due[fill.agent, fill.shelf] = following
                self._over()
                fill.finished.set()

    def _next(self) -> Fill | None:
        with self._guard:
            fill = next(iter(self._due.values()), None)
            if fill is None:
                self._thread = None
            return fill

    def _compare(self, fill: Fill) -> None:
        """What changes while this runs is heard on the bell, or found by the comparison after it."""
        agent, shelf = fill.agent, fill.shelf
        began = self._clock.monotonic()
        folder = f"{agent}/{shelf.folder}"

        def listing() -> Iterator[tuple[str, Stamp]]:
            """Nothing is listed before it is asked for: what is put after the listing must not be taken for gone."""
            if self._index.counts(agent).get(shelf.scope, 0) >= MANY:
                self._await_watching()
            with self._guard:
                fill.has_listed = True
            yield from self._files.walk(folder, shelf.suffix, deep=shelf.deep)

        def tell(done: int, total: int) -> None:
            fill.progress = Progress(done, total)
            if self._closed:
                raise Unavailable("the search index is closed")

        is_filled = not self._index.needs_rebuild(agent, shelf.scope)
        if not is_filled:
            fill.is_routine = False  # what was compared went away with its index, and is not to be believed
        if not (is_filled and agrees(self._index, agent, shelf.scope, listing())):
            reconcile(self._index, agent, shelf.scope, listing(), lambda path: self._load(agent, path), progress=tell)
        generation = self._index.generation
        with self._guard:
            if not fill.is_outdated:  # else what it listed may be older than what changed
                self._seen[agent, shelf] = _Seen(generation, began)

    def _await_watching(self) -> None:
        """Until the bell, where it is about to watch, has said that anything may have changed."""
        if not self._bell.watching and self._bell.problem is None:
            self._distrusted.wait(WATCHING_SECONDS)
