"""Vectors for the documents of the agents that are asked about, made in a thread of their own."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING

from argosy_core.clock import Clock
from argosy_core.embedding import Embedder, FolderEmbedder, FolderSettings, load_settings
from argosy_core.errors import ArgosyError, BudgetExhausted, Unavailable
from argosy_core.ids import Ids
from argosy_core.index.library import Library
from argosy_core.storage.base import Store
from argosy_core.types import Caller
from argosy_core.views.fleet import load_fleet
from argosy_core.views.vault_reader import VaultReader
from argosy_memory.shelves import ALL_SCOPES

if TYPE_CHECKING:
    from argosy_memory.paying import Payer

BATCH_TEXTS = 64
RETRY_SECONDS = 30.0
CLOSE_SECONDS = 5.0
NO_SOURCE = "no embedding source is configured"


class Meanings:
    """The embedding source of one vault, if it has one, and the thread that keeps the index in vectors."""

    def __init__(
        self, store: Store, clock: Clock, ids: Ids, library: Library, environment: Mapping[str, str] | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._library = library
        self._environment = os.environ if environment is None else environment
        self._guard = threading.Lock()
        self._embedder: Embedder | FolderEmbedder | None = None
        self._problem: str | None = None
        self._is_loaded = False
        self._agents: set[str] = set()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.is_behind = False
        library.on_change(self._wake.set)

    def close(self) -> None:
        """End the thread and the connections. Idempotent."""
        self._stop.set()
        self._wake.set()
        with self._guard:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(timeout=CLOSE_SECONDS)
        if self._embedder is not None:
            self._embedder.close()

    @cached_property
    def _payer(self) -> Payer:
        # Money has many rules; who has no source of vectors need not load them.
        from argosy_memory.paying import Payer

        return Payer(self._store, self._clock, self._ids)

    @property
    def space(self) -> str | None:
        """What vectors are compared within; None without a source."""
        embedder = self._source()
        return embedder.space if embedder else None

    @property
    def least_similarity(self) -> float:
        """Vectors less alike than this say nothing."""
        embedder = self._source()
        return embedder.least_similarity if embedder else 1.0

    @property
    def weight(self) -> float:
        """What a place among the nearest counts beside one by words."""
        embedder = self._source()
        return embedder.weight if embedder else 0.0

    def query(self, agent: str, text: str, by: Caller | None, remarks: list[str]) -> Sequence[float]:
        """The vector of a question about *agent*'s documents; *by* is whose run pays, *remarks* gets what is to be said
        of caps. Raises Unavailable and BudgetExhausted, which say why."""
        embedder = self._source()
        if embedder is None:
            raise Unavailable(self._problem or NO_SOURCE)
        self._attend(agent)
        if isinstance(embedder, FolderEmbedder):
            return embedder.query(text)
        from argosy_memory.paying import Asked

        asked = Asked(by.run if by else None, by.grant if by else None, remarks)
        return embedder.query(text, partial(self._payer.embed, agent, embedder, asked=asked))

    def _source(self) -> Embedder | FolderEmbedder | None:
        with self._guard:
            if not self._is_loaded:
                self._is_loaded = True
                try:
                    fleet = load_fleet(VaultReader(self._store.files))
                    settings = load_settings(fleet.settings, self._environment)
                except ArgosyError as error:
                    self._problem = str(error)
                else:
                    if isinstance(settings, FolderSettings):
                        self._embedder = FolderEmbedder(settings)
                    elif settings is not None:
                        self._embedder = Embedder(settings, self._clock)
            return self._embedder

    def _attend(self, agent: str) -> None:
        with self._guard:
            if agent in self._agents or self._stop.is_set():
                return
            self._agents.add(agent)
            self.is_behind = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="argosy-vectors", daemon=True)
                self._thread.start()
        self._wake.set()

    def _work(self) -> None:
        while self._wake.wait() and not self._stop.is_set():
            self._wake.clear()
            try:
                self._catch_up()
            except ArgosyError:  # searches say so; the texts wait
                with suppress(ArgosyError):
                    self._stop.wait(RETRY_SECONDS)
                self._wake.set()

    def _catch_up(self) -> None:
        from argosy_memory.paying import Asked

        embedder = self._source()
        if embedder is None:
            return
        space, vectors = embedder.space, self._library.index.vectors
        exhausted: BudgetExhausted | None = None
        for agent in sorted(self._agents):
            while not self._stop.is_set():
                now = self._clock.now().timestamp()
                claimed = vectors.claim(agent, ALL_SCOPES, space, limit=BATCH_TEXTS, now=now)
                if not claimed:
                    break
                self.is_behind = True
                digests = [each.digest for each in claimed]
                try:
                    made = self._payer.embed(agent, embedder, [each.text for each in claimed], Asked())
                except BudgetExhausted as error:  # of this agent only: the others' texts go on
                    vectors.release(space, digests)
                    exhausted = error
                    break
                except ArgosyError:
                    vectors.release(space, digests)
                    raise
                vectors.put(space, dict(zip(digests, made, strict=True)))
        if exhausted is not None:
            raise exhausted
        self.is_behind = self._library.is_filling
