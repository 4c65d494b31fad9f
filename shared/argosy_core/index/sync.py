"""Bringing the index in line with the disk, reading only what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from argosy_core.index.documents import Changes, IndexedDocument, Stamp, summed
from argosy_core.index.face import Index

BATCH_CHARS = 4_000_000

Load = Callable[[str], IndexedDocument | None]
Progress = Callable[[int, int], None]


def agrees(index: Index, agent: str, scope: str, listing: Iterable[tuple[str, Stamp]]) -> bool:
    """Whether the index holds just what *listing* names. Nothing of it is kept: what a hundred thousand paths and
    stamps take in memory takes longer to get than the files to look at."""
    held = index.sum_of_stamps(agent, scope)  # before the listing, as below
    return held == summed(listing)


@dataclass(slots=True)
class _Batch:
    documents: list[IndexedDocument] = field(default_factory=list[IndexedDocument])
    removed: list[str] = field(default_factory=list[str])
    chars: int = 0
    seen: int = 0


def reconcile(
    index: Index,
    agent: str,
    scope: str,
    listing: Iterable[tuple[str, Stamp]],
    load: Load,
    batch: int = 500,
    progress: Progress | None = None,
) -> Changes:
    """Make the index hold what *listing* names, and mark *scope* as filled.

    *load* reads one file; None means that there is nothing to index at the path (any more). What it raises ends the
    run, with the batches before it kept; a run that was cut short is taken up by the next. *progress* is told how many
    of how many files that differ are done. A document that somebody else put while this ran is left as they put it.
    """
    known = index.stamps(agent, scope)  # before the listing: what is put in between is then listed too, not removed
    listed = dict(listing)
    gone = [path for path in known if path not in listed]
    stale = sorted((stamp, path) for path, stamp in listed.items() if known.get(path) != stamp)
    changes, done = Changes(), 0
    for group in _batches([path for _, path in stale], gone, load, batch, known):
        index.apply(group.documents, group.removed, expected=known)
        changes, done = _counted(changes, group, known), done + group.seen
        if progress:
            progress(done, len(stale) + len(gone))
    index.mark_filled(agent, scope)
    if done >= batch:
        index.tidy(agent, whole=True)
    return changes


def _batches(
    stale: Iterable[str], gone: Iterable[str], load: Load, size: int, known: dict[str, Stamp]
) -> Iterator[_Batch]:
    """Oldest file first: a later id then means a later text, which is what a bounded search looks at first."""
    current = _Batch()
    for path in stale:
        _take(current, path, load(path), known)
        if current.seen >= size or current.chars >= BATCH_CHARS:
            yield current
            current = _Batch()
    for path in gone:
        _take(current, path, None, known)
        if current.seen >= size:
            yield current
            current = _Batch()
    if current.seen:
        yield current


def _take(batch: _Batch, path: str, document: IndexedDocument | None, known: dict[str, Stamp]) -> None:
    batch.seen += 1
    if document:
        batch.documents.append(document)
        batch.chars += len(document.body)
    elif path in known:
        batch.removed.append(path)


def _counted(changes: Changes, batch: _Batch, known: dict[str, Stamp]) -> Changes:
    changed = sum(document.path in known for document in batch.documents)
    return Changes(
        added=changes.added + len(batch.documents) - changed,
        changed=changes.changed + changed,
        removed=changes.removed + len(batch.removed),
    )
