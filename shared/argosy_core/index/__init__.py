"""The rebuildable search index of a vault's documents, over SQLite FTS5."""

from __future__ import annotations

from argosy_core.index.document_index import DocumentIndex
from argosy_core.index.documents import Changes, Entry, Hit, IndexedDocument, Page, Ranking, SearchResult, Stamp
from argosy_core.index.sync import reconcile

__all__ = [
    "Changes",
    "DocumentIndex",
    "Entry",
    "Hit",
    "IndexedDocument",
    "Page",
    "Ranking",
    "SearchResult",
    "Stamp",
    "reconcile",
]
