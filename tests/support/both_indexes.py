"""An index of documents over each of its substrates."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from postgres_server import PostgresServer

from argosy_core.clock import Clock
from argosy_core.ids import SystemIds
from argosy_core.index import DocumentIndex
from argosy_core.index.face import Index
from argosy_core.index.opening import open_index
from argosy_core.storage.postgres.store import PostgresStore


@contextmanager
def postgres_index(server: PostgresServer, folder: Path, clock: Clock, url: str = "") -> Generator[Index]:
    """An index in a schema, one of its own when no *url* is given."""
    store = PostgresStore(url or server.url(), folder, clock, SystemIds())
    index = open_index(store, clock)
    try:
        yield index
    finally:
        index.close()
        store.close()


@contextmanager
def sqlite_index(folder: Path, clock: Clock) -> Generator[Index]:
    """An index in a file."""
    index = DocumentIndex(folder / ".argosy" / "index.sqlite", clock=clock)
    try:
        yield index
    finally:
        index.close()
