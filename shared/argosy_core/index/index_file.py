"""The file under the index: made whole or not at all, and set aside when it is not what it should be.

Processes that work on one file agree through a lock file beside it. A new index is built under another name and
renamed, so whoever opens the path sees all of the schema or no file.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from argosy_core.errors import Unavailable
from argosy_core.index.statements import script, statement

if TYPE_CHECKING:
    from argosy_core.clock import Clock

Identity = tuple[int, int]
"""Device and inode: two files that had the same path have different ones."""

APPLICATION_ID = 0x41524749
SCHEMA_VERSION = 3
LOCK_SECONDS = 5.0
LOCK_PAUSE_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class IndexKind:
    """What makes one kind of index: its name in messages, the marks in its file, its schema.

    *generation* gives the statement for the one value that names a file's life.
    """

    what: str
    application_id: int
    version: int
    schema: Callable[[], str]
    generation: Callable[[], str]


SEARCH = IndexKind(
    "the search index", APPLICATION_ID, SCHEMA_VERSION, lambda: script("schema.sql"), lambda: statement("generation")
)


class IndexFile:
    """The database file at *path*, its companions and its lock file."""

    def __init__(self, path: Path, clock: Clock, kind: IndexKind = SEARCH) -> None:
        self.path = path
        self._kind = kind
        self._clock = clock
        self._threads = threading.Lock()

    def identity(self) -> Identity | None:
        """Which file the path names now; None when it names none."""
        try:
            found = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return (found.st_dev, found.st_ino)

    def ensure(self) -> Identity:
        """Which file the path names, after making an empty index where there was none."""
        if found := self.identity():
            return found
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            if not self.identity():
                self._build()
            found = self.identity()
        if found is None:
            raise Unavailable(f"{self._kind.what} was removed while it was made")
        return found

    def discard(self, seen: Identity, *, keep: bool) -> None:
        """Take the file away if it is still *seen*, so that the next `ensure` makes another.

        What may be somebody else's is kept beside it, the latest one only.
        """
        with self._locked():
            if self.identity() != seen:
                return
            if keep:
                os.replace(self.path, self._beside(".damaged"))
            else:
                self.path.unlink()
            self._drop_companions()

    def _build(self) -> None:
        """A log or shared memory that outlived its database would be taken for the new one's: it goes first."""
        self._drop_companions()
        draft = self._beside(".new")
        draft.unlink(missing_ok=True)
        with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = OFF")
            connection.executescript(self._kind.schema())
            connection.execute(f"PRAGMA application_id = {self._kind.application_id}")
            connection.execute(f"PRAGMA user_version = {self._kind.version}")
            connection.execute("PRAGMA journal_mode = WAL")
        os.replace(draft, self.path)

    def _drop_companions(self) -> None:
        for ending in ("-wal", "-shm", "-journal"):
            self._beside(ending).unlink(missing_ok=True)

    def _beside(self, ending: str) -> Path:
        return self.path.with_name(self.path.name + ending)

    @contextmanager
    def _locked(self) -> Generator[None]:
        with self._threads, self._locked_by_process():
            yield

    @contextmanager
    def _locked_by_process(self) -> Generator[None]:
        deadline = self._clock.monotonic() + LOCK_SECONDS
        while (lock := self._try_lock()) is None:
            if self._clock.monotonic() >= deadline:
                raise Unavailable(f"another process is busy making {self._kind.what}")
            self._clock.pause(LOCK_PAUSE_SECONDS)
        try:
            yield
        finally:
            os.close(lock)

    def _try_lock(self) -> int | None:
        """The descriptor that holds the lock. One on a lock file that was deleted meanwhile would guard nothing."""
        path = self._beside(".lock")
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(held), os.stat(path)):
                return held
        os.close(held)
        return None
