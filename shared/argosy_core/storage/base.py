"""The five storage primitives. A substrate is added by implementing these protocols and passing their suites.

Paths and stream names are those of the vault whatever the substrate: a vault moves between substrates unchanged.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from argosy_core.storage.address import Address
from argosy_core.storage.item import (
    ENDED_STATES,
    ITEM_STATES,
    WAITING_STATES,
    Failure,
    Hold,
    HoldKind,
    Item,
    ItemState,
    Lease,
    NewItem,
)
from argosy_core.storage.items import Items
from argosy_core.vault import ABSENT, ANY, STATE_FOLDER, Content, Expect, FileInfo

__all__ = [
    "ABSENT",
    "ANY",
    "ENDED_STATES",
    "ITEM_STATES",
    "LEFT_OUT",
    "PIECE_BYTES",
    "WAITING_STATES",
    "Archive",
    "Bell",
    "Chain",
    "Content",
    "Documents",
    "Entry",
    "Expect",
    "Failure",
    "FileInfo",
    "Files",
    "Finding",
    "Head",
    "Hold",
    "HoldKind",
    "Item",
    "ItemState",
    "Items",
    "Lease",
    "Leases",
    "NewItem",
    "Piece",
    "Store",
    "VerifyReport",
]


T = TypeVar("T")
LEFT_OUT = frozenset({STATE_FOLDER, ".git"})  # of an archive: what is rebuilt, and what another program keeps
PIECE_BYTES = 8 * 1024 * 1024  # about as much of a stream is read at once


class Documents(Protocol):
    """Named texts with a version; a write is all or nothing and durable when it returns."""

    async def read(self, path: str) -> Content:
        """The document at *path*. Raises NotFound."""
        ...

    async def read_from(self, path: str, offset: int, max_bytes: int | None = None) -> bytes:
        """The bytes of *path* from *offset*, whatever its size; b"" when it is not there or shorter."""
        ...

    async def info(self, path: str) -> FileInfo | None:
        """The stamp of *path* without reading it; None when there is none."""
        ...

    async def write(self, path: str, data: bytes, *, expect: Expect = ANY, keep_version: bool = False) -> Content:
        """Put *data* at *path*; with *keep_version* the old content stays readable through `versions`.

        Raises Conflict when *expect* is a version that is not the current one, AlreadyExists when it is ABSENT and
        something is there (both with the current ``version`` in their detail), TooLarge above 16 MiB. Exactly one of
        several writers that expect the same version wins.
        """
        ...

    async def remove(self, path: str, *, expect: Expect = ANY) -> None:
        """Take the document at *path* away; whoever calls keeps a copy first. Raises NotFound, Conflict."""
        ...

    async def list(self, prefix: str, suffix: str = "", *, deep: bool = False) -> Sequence[FileInfo]:
        """Documents in the folder *prefix* (and below it when *deep*) in the order of their paths, by code point."""
        ...

    async def folders(self, prefix: str = "") -> Sequence[str]:
        """Names of the folders right in *prefix*, sorted."""
        ...

    async def versions(self, path: str) -> Sequence[FileInfo]:
        """What earlier contents of *path* are kept, newest first."""
        ...


class Files(Protocol):
    """The same documents for code that runs off the event loop: every call blocks. Errors are those of `Documents`."""

    def read(self, path: str) -> Content: ...
    def read_from(self, path: str, offset: int, max_bytes: int | None = None) -> bytes: ...
    def info(self, path: str) -> FileInfo | None: ...
    def replace(self, path: str, data: bytes, *, expect: Expect = ANY, keep_version: bool = False) -> Content: ...
    def remove(self, path: str, *, expect: Expect = ANY) -> None: ...

    def stamps(self, folder: str, names: Sequence[str]) -> tuple[tuple[int, int] | None, ...]:
        """The stamp of each of *names* in *folder*, None where there is no document; cheaper than asking for each."""
        ...

    def folders(self, path: str = "") -> Sequence[str]:
        """Names of the folders right in *path*, sorted."""
        ...

    def files(self, path: str, suffix: str = "") -> Sequence[FileInfo]:
        """Documents right in the folder *path* whose names end in *suffix*, sorted."""
        ...

    def walk(self, path: str, suffix: str = "", *, deep: bool = True) -> Iterator[FileInfo]:
        """Documents in *path* and, when *deep*, everywhere below it, in no order: for very many, none of them kept."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a chain. *seq* counts from 1 for each (stream, writer); hashes are 64 hex characters."""

    stream: str
    writer: str
    seq: int
    prev: str
    digest: str
    hash: str
    ts: str
    event: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of one writer in one stream."""

    stream: str
    writer: str
    seq: int
    hash: str


FindingKind = Literal["altered", "truncated", "missing", "moved", "rewritten", "gap"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What `verify` has to say about one place: *seq* is the entry where it begins."""

    kind: FindingKind
    stream: str
    writer: str
    seq: int
    file: str
    detail: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """*entries* were checked; *unchained* lines were written by a system that keeps no chain.

    *notes* name anchors that cannot be read, with their lines (they were not believed), and unfinished redactions.
    """

    entries: int
    unchained: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.findings


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a stream as it is stored, for whoever keeps a projection of it.

    *lines* are (day file, whole line without its newline), in the order they were written; *position* is where the next
    piece begins. *is_anew* says that the position asked for is not one of this stream any more (somebody put an older
    copy back): then the lines are from the beginning, and what was learned of the stream is to be forgotten.
    """

    lines: Sequence[tuple[str, bytes]]
    position: str
    is_anew: bool = False


class Chain(Protocol):
    """Append-only hash-chained events, one chain for each (stream, writer)."""

    async def append(
        self,
        stream: str,
        writer: str,
        event: Mapping[str, Any],
        *,
        key: str | None = None,
        expect_seq: int | None = None,
    ) -> Entry:
        """Add *event*; durable when it returns. Appends that arrive together may share one sync.

        The same *key* with the same event gives the first entry again, with another event Conflict. With *expect_seq*
        the new entry must get that number, else Conflict. Raises NotFound for a stream that is neither an agent nor
        ``_fleet``, InvalidArgument for a writer that is not 1 to 100 printable characters, a key that is not 1 to 1000
        characters, and an event that JSON cannot carry, is over 256 KiB or has a field the chain writes itself.
        """
        ...

    async def find(self, stream: str, writer: str, key: str) -> Entry | None:
        """The entry that *writer* appended to *stream* under *key*; None when there is none."""
        ...

    async def heads(self, stream: str | None = None) -> Sequence[Head]:
        """The last entry of each writer, sorted by stream and writer."""
        ...

    async def streams(self) -> Sequence[str]:
        """Names of all streams, sorted."""
        ...

    def scan(
        self, stream: str, *, since: date | None = None, until: date | None = None, newest_first: bool = False
    ) -> AsyncIterator[Mapping[str, Any]]:
        """The lines of *stream* as they stand, days *since* to *until* inclusive, unchained lines too."""
        ...

    async def read_on(self, stream: str, position: str = "", max_bytes: int = PIECE_BYTES) -> Piece:
        """The lines of *stream* after *position* (one of an earlier piece, ``""`` is the beginning), about *max_bytes*
        of them; a piece without lines means that there are none yet. What is still being written is not read."""
        ...

    async def verify(self, stream: str | None = None) -> VerifyReport:
        """Check every entry of *stream*, or of all, and compare with the anchors (`chain_anchors`) known of it."""
        ...

    async def redact(self, stream: str, writer: str, seq: int) -> Entry:
        """Take text and salt of one entry away for good, durably; its digest stays, so the chain still holds.

        `verify` calls the entry altered unless a later chained event of kind ``redaction`` names it (``writer_of``,
        ``seq_of``): that event is appended first. Doing it again changes nothing. Its key is forgotten.
        Returns the entry as it is then. Raises NotFound, Corrupted (the entry is not sound, so nothing proves what
        would be taken away), InvalidArgument for an entry of kind ``redaction`` or ``anchor``.
        """
        ...


class Leases(Protocol):
    """Locks that end by themselves, each with a generation that only grows: writers fence with it."""

    async def acquire(self, name: str, holder: str, ttl_seconds: float) -> Lease:
        """Take *name*. Raises Conflict while a lease on it has not ended, whoever holds it; detail has the ``holder``.

        A name has 1 to 120 characters, a letter or digit among them; a lease lasts at most a day. Raises
        InvalidArgument for others, and for a holder that UTF-8 cannot carry.
        """
        ...

    async def renew(self, lease: Lease, ttl_seconds: float) -> Lease:
        """Move the end of *lease*. Raises Conflict when it is not the current one any more."""
        ...

    async def release(self, lease: Lease) -> None:
        """Give *lease* up. Nothing happens when it is not the current one any more."""
        ...

    async def current(self, name: str) -> Lease | None:
        """Who holds *name* now; None when nobody does."""
        ...


class Bell(Protocol):
    """Says "this path changed" to every process that listens: a cue, not a payload.

    A missed ring is made up by reading. A folder's path means that anything in it may have changed, the path ``""``
    that anything at all may.
    """

    @property
    def watching(self) -> bool:
        """Whether changes by others are heard too, and not only rings of this process."""
        ...

    @property
    def problem(self) -> str | None:
        """Why watching ended by itself; None when it did not."""
        ...

    def ring(self, *paths: str) -> None:
        """Say that *paths* changed. Never blocks, never raises."""
        ...

    def listen(self, prefix: str, heard: Callable[[frozenset[str]], None]) -> Callable[[], None]:
        """Call *heard* with changed paths under *prefix*, from any thread, until the returned function is called."""
        ...


class Archive(Protocol):
    """Everything a vault holds, as the files that it is on disk: how a vault moves between substrates.

    Day files of logs and items of queues are among them, byte for byte; what is rebuildable (``.argosy/``) is not.
    """

    async def paths(self) -> Sequence[str]:
        """Every file's path, sorted."""
        ...

    async def read(self, path: str) -> bytes:
        """The bytes of one file. Raises NotFound."""
        ...

    async def write(self, path: str, data: bytes) -> None:
        """Put one file, durably, into a vault that does not have it. Raises AlreadyExists, InvalidArgument."""
        ...


class Store(Protocol):
    """The primitives of one vault, opened together."""

    @property
    def documents(self) -> Documents: ...
    @property
    def files(self) -> Files: ...
    @property
    def chain(self) -> Chain: ...
    @property
    def leases(self) -> Leases: ...
    @property
    def items(self) -> Items: ...
    @property
    def bell(self) -> Bell: ...
    @property
    def archive(self) -> Archive: ...

    @property
    def address(self) -> Address:
        """What `open_store` takes to open this store in another process."""
        ...

    @property
    def index_database(self) -> Any | None:
        """The PostgreSQL that holds it, for what is kept beside the documents there; None over anything else."""
        ...

    @property
    def root(self) -> Path:
        """The local folder of the vault. Over files it is the vault itself; else it holds rebuildable state only."""
        ...

    def state_path(self, name: str) -> Path:
        """Where rebuildable state *name* is kept on this machine."""
        ...

    def shared(self, name: str, make: Callable[[], T], close: Callable[[T], None]) -> T:
        """The one *name* of this store, made by whoever asks first: several instances of a server keep one index.

        *close* is called with it when the store closes.
        """
        ...

    def on_close(self, closer: Callable[[], None]) -> None:
        """Call *closer* when the store closes: what servers keep open over it ends with it."""
        ...

    def start(self) -> None:
        """Begin background work (watching); counted, so that several servers may share the store."""
        ...

    async def stop(self) -> None:
        """End what `start` began, with the last of them."""
        ...

    def close(self) -> None:
        """Release files and threads. Idempotent."""
        ...
