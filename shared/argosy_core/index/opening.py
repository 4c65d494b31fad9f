"""Which index a store has: its own, shared by all hosts, or a file on this machine."""

from __future__ import annotations

from argosy_core.clock import Clock
from argosy_core.index.document_index import DocumentIndex
from argosy_core.index.face import Index
from argosy_core.storage.base import Store

FILE = "index.sqlite"


def open_index(store: Store, clock: Clock) -> Index:
    """The index of *store*'s documents."""
    if store.index_database is None:
        return DocumentIndex(store.state_path(FILE), clock=clock)
    from argosy_core.index.postgres.document_index import PostgresIndex

    return PostgresIndex(store.index_database, clock=clock)
