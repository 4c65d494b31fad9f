"""One queue under its lock: its files, its rows in the projection, and what keeps the two equal."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from argosy_core.clock import Clock
from argosy_core.errors import Corrupted, NotFound
from argosy_core.ids import Ids
from argosy_core.storage.files.item_folders import UNREAD, QueueFolders, Stamp
from argosy_core.storage.files.item_projection import Projection
from argosy_core.storage.files.item_rows import FileRows
from argosy_core.storage.item import ITEM_STATES, Item, ItemState
from argosy_core.storage.item_order import Place, Rows
from argosy_core.storage.item_record import read_item, text_of, unreadable
from argosy_core.storage.item_session import Change, OpenQueue
from argosy_core.vault import Vault

T = TypeVar("T")
LOCK_SECONDS = 60.0  # as long as bringing in a hundred thousand files may take


class LockedQueue(OpenQueue):
    """Queue *name* while its lock is held."""

    def __init__(self, vault: Vault, projection: Projection, clock: Clock, ids: Ids, name: str) -> None:
        super().__init__(name, clock)
        self._vault = vault
        self._projection = projection
        self._folders = QueueFolders(vault, ids, name)

    @contextmanager
    def locked(self) -> Generator[LockedQueue]:
        """Hold the queue's lock, with the projection caught up."""
        with self._vault.lock(self._folders.path, LOCK_SECONDS):
            self._projection.run(self._rows(self._catch_up))
            yield self

    def ask(self, question: Callable[[Rows], T]) -> T:
        return self._ask(question)

    def _ask(self, question: Callable[[FileRows], T]) -> T:
        return self._projection.run(self._rows(question))

    def _rows(self, work: Callable[[FileRows], T]) -> Callable[[sqlite3.Connection], T]:
        def over(connection: sqlite3.Connection) -> T:
            return work(FileRows(connection, self.name, self._clock.now()))

        return over

    # Changing

    def change(self, changes: Sequence[Change]) -> None:
        """The new files first, then the old ones go."""
        written: list[tuple[Item, Stamp]] = []
        seals: dict[ItemState, int] = {}
        for state, items in _grouped((item.state, item) for _, item in changes).items():
            stamps, seals[state] = self._folders.put(state, {item.id: text_of(item) for item in items})
            written += [(item, stamps[item.id]) for item in items]
        moved: list[tuple[ItemState, str]] = [
            (before, item.id) for before, item in changes if before is not None and before != item.state
        ]
        for state, ids in _grouped(moved).items():
            seals[state] = self._folders.drop(state, ids)
        self._projection.run(self._rows(lambda rows: _record(rows, written, seals)))

    # Reading

    def find(self, id: str) -> Item | None:
        row = self.ask(lambda rows: rows.row(id))
        return self._load(Place(id, row["state"])) if row is not None else None

    def find_made(self, id: str) -> Item | None:
        """It asks the folders and not the rows."""
        states = self._folders.states_of(id)
        return max((self._load(Place(id, state)) for state in states), key=lambda item: item.revision, default=None)

    def read(self, place: Place) -> Item | None:
        try:
            data, stamp = self._folders.read(place.state, place.id)
        except NotFound:
            self.ask(lambda rows: rows.drop(place.id))
            return None
        except Corrupted as error:  # the disk's, perhaps for once
            unread = unreadable(self.name, place.state, place.id, error.message)
            self._ask(lambda rows: _record(rows, [(unread, UNREAD)], {place.state: 0}))
            return None
        try:
            return self._item_in(place, data, stamp)
        except Corrupted as error:
            self.refresh(unreadable(self.name, place.state, place.id, error.message))
        return None

    def refresh(self, item: Item) -> None:
        _, stamp = self._folders.read(item.state, item.id)
        self._ask(lambda rows: rows.put_file(item, stamp))

    def _load(self, place: Place) -> Item:
        return self._item_in(place, *self._folders.read(place.state, place.id))

    def _item_in(self, place: Place, data: bytes, stamp: Stamp) -> Item:
        item = read_item(self.name, place.state, place.id, data)
        if item.seq:
            return item
        row = self.ask(lambda rows: rows.row(place.id))
        return _by_hand(item, row["seq"] if row else 1, stamp)

    def problems(self) -> list[Item]:
        """What cannot be read, after a look at every folder."""
        self._ask(self._look_again)
        return [unreadable(self.name, row["state"], row["id"], row["problem"]) for row in self.ask(Rows.broken)]

    # Catching up

    def _look_again(self, rows: FileRows) -> None:
        for state in ITEM_STATES:
            rows.set_seal(state, -1)
        self._catch_up(rows)

    def _catch_up(self, rows: FileRows) -> None:
        found, known = self._folders.seals(), rows.seals()
        changed: list[ItemState] = [state for state in ITEM_STATES if found.get(state, 0) != known.get(state, 0)]
        gone: list[Place] = []
        stale: list[tuple[ItemState, str]] = []
        for state in changed:
            gone += self._survey(rows, state, stale, is_there=state in found)
        for place in gone:
            row = rows.row(place.id)
            if row is not None and row["state"] == place.state:
                rows.drop(place.id)
        for state, ids in _grouped(stale).items():
            self._folders.drop(state, ids)
            rows.set_seal(state, 0)  # look again: the seal may cover somebody else's change

    def _survey(
        self, rows: FileRows, state: ItemState, stale: list[tuple[ItemState, str]], *, is_there: bool
    ) -> list[Place]:
        """Bring in all of one folder; what was known and is not in it any more."""
        known = rows.stamps(state)
        seal, ids = 0, set[str]()
        if is_there:
            seal, ids, unknown = self._folders.survey(state, lambda id, stamp: known.get(id) == stamp)
            for id, data, stamp in unknown:
                self._adopt(rows, self._parsed(rows, Place(id, state), data, stamp), stamp, stale)
        rows.set_seal(state, seal)
        return [Place(id, state) for id in known.keys() - ids]

    def _parsed(self, rows: FileRows, place: Place, data: bytes, stamp: Stamp) -> Item:
        if stamp == UNREAD:
            return unreadable(self.name, place.state, place.id, f"{place.id} cannot be read: check the disk")
        try:
            item = read_item(self.name, place.state, place.id, data)
        except Corrupted as error:
            return unreadable(self.name, place.state, place.id, error.message)
        return item if item.seq else _by_hand(item, rows.next_seq(), stamp)

    def _adopt(self, rows: FileRows, item: Item, stamp: Stamp, stale: list[tuple[ItemState, str]]) -> None:
        """Take a file in; of two files of one item the higher revision counts, and a crash left the other."""
        row = rows.row(item.id)
        if row is None or row["state"] == item.state or not self._folders.holds(row["state"], item.id):
            rows.put_file(item, stamp)
        elif item.problem is None and row["problem"] is None and item.revision > row["revision"]:
            stale.append((row["state"], item.id))
            rows.put_file(item, stamp)
        elif item.problem is None and item.revision < row["revision"]:
            stale.append((item.state, item.id))


def _by_hand(item: Item, seq: int, stamp: Stamp) -> Item:
    written = datetime.fromtimestamp(stamp[0] / 1e9, UTC)
    return replace(item, seq=seq, created_at=item.created_at or written)


def _record(rows: FileRows, written: Sequence[tuple[Item, Stamp]], seals: Mapping[ItemState, int]) -> None:
    for item, stamp in written:
        rows.put_file(item, stamp)
    for state, seal in seals.items():
        rows.set_seal(state, seal)


def _grouped(pairs: Iterable[tuple[ItemState, T]]) -> dict[ItemState, list[T]]:
    found: dict[ItemState, list[T]] = {}
    for state, value in pairs:
        found.setdefault(state, []).append(value)
    return found
