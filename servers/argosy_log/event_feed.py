"""Putting pieces of a stream into the index, each in one transaction.

A piece is taken only where the stream stands as it did when the piece was read: of several processes that read the same
piece one puts it in. When the chain says that a stream is another than it was, its lines are read again and compared
with what is held; only from the first line on that differs a file is put in anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

from argosy_core.storage.base import Piece
from argosy_core.storage.chain_trail import REDACTION
from argosy_log.event_facts import COMBO, HOUR_US, facts_of, microseconds
from argosy_log.event_sql import statement
from argosy_log.event_sums import FileSums, recount
from argosy_log.events import LogEvent, read_line

Lines = Sequence[tuple[str, bytes]]
_ZONES_US = 14 * HOUR_US  # older files are named by local days
_LINE_BITS = 32
_MOST = 1 << 62
LOG_WRITER = "log"
_BIG_CACHE, _SMALL_CACHE = -48_000, -4_000  # KiB


def position_of(db: sqlite3.Connection, stream: str) -> tuple[str, bool]:
    """Where reading of *stream* goes on, and whether lines read before are being compared."""
    row = db.execute(statement("stream"), {"name": stream}).fetchone()
    return (row["position"], bool(row["rereads"])) if row else ("", False)


def take(db: sqlite3.Connection, stream: str, position: str, piece: Piece) -> bool:
    """Put in what was read of *stream* from *position*; False when somebody else did meanwhile."""
    db.execute(statement("add_stream"), {"name": stream})
    row = db.execute(statement("stream"), {"name": stream}).fetchone()
    if row["position"] != position:
        return False
    number, rereads = row["id"], bool(row["rereads"]) or piece.is_anew
    db.execute("PRAGMA secure_delete = ON")
    db.execute(f"PRAGMA cache_size = {_BIG_CACHE}")
    if piece.is_anew:
        db.execute(statement("unsee_files"), {"stream": number})
    feed = _Feed(db, stream, number)
    for path, group in groupby(piece.lines, key=lambda line: line[0]):
        feed.take_file(path, [line for _, line in group])
    if not piece.lines and rereads:
        feed.drop_unseen()
        rereads = False
    place = {"id": number, "position": piece.position, "rereads": rereads}
    db.execute(statement("set_position"), place)
    db.execute(f"PRAGMA cache_size = {_SMALL_CACHE}")
    return True


class _Feed:
    """One piece on its way into the database."""

    def __init__(self, db: sqlite3.Connection, stream: str, number: int) -> None:
        self._db = db
        self._stream = stream
        self._number = number
        self._combos: dict[tuple[str, ...], int] = {}
        self._writers: dict[str, tuple[int, int]] = {}

    def take_file(self, path: str, lines: Sequence[bytes]) -> None:
        first, _ = bounds_of(path)
        self._db.execute(statement("add_file"), {"stream": self._number, "path": path, "place": first})
        row = self._db.execute(statement("file"), {"path": path}).fetchone()
        file, seen, held, place = row["id"], row["seen"], row["lines"], row["place"]
        equal = self._count_equal(file, seen, lines[: max(0, held - seen)])
        if equal < min(len(lines), max(0, held - seen)):
            place = self._cut(file, path, seen + equal, held)
            held = seen + equal
        fresh = lines[max(0, held - seen) :]
        if fresh:
            place = self._add(file, path, held, place, fresh)
        numbers = {"id": file, "seen": seen + len(lines), "lines": max(held + len(fresh), held), "place": place}
        self._db.execute(statement("set_file"), numbers)

    def drop_unseen(self) -> None:
        """Take away what is held beyond the files' ends, and of files that are gone."""
        for row in self._db.execute(statement("unfinished_files"), {"stream": self._number}).fetchall():
            place = self._cut(row["id"], row["path"], row["seen"], row["lines"])
            if row["seen"]:
                numbers = {"id": row["id"], "seen": row["seen"], "lines": row["seen"], "place": place}
                self._db.execute(statement("set_file"), numbers)
            else:
                self._db.execute(statement("drop_file"), {"id": row["id"]})

    def _count_equal(self, file: int, start: int, lines: Sequence[bytes]) -> int:
        ids = {"first": file << _LINE_BITS | start, "last": (file << _LINE_BITS) + start + len(lines)}
        held = self._db.execute(statement("bodies_between"), ids)
        number = -1
        for number, (row, line) in enumerate(zip(held, lines, strict=False)):
            if row["text"] != line:
                return number
        return number + 1

    def _cut(self, file: int, path: str, keep: int, held: int) -> int:
        """Take the file's lines from number *keep* on away; gives the place of what is left."""
        ids = {"first": file << _LINE_BITS | keep, "last": (file << _LINE_BITS) + held}
        self._db.execute(statement("drop_events"), ids)
        self._db.execute(statement("drop_bodies"), ids)
        recount(self._db, file)
        last = {"first": file << _LINE_BITS, "last": file << _LINE_BITS | keep}
        place = self._db.execute(statement("last_place"), last).fetchone()[0]
        return bounds_of(path)[0] if place is None else int(place)

    def _add(self, file: int, path: str, start: int, place: int, lines: Sequence[bytes]) -> int:
        sums = FileSums(file)
        bodies: list[tuple[int, int | None, bytes]] = []
        events: list[tuple[int | None, ...]] = []
        first, last = bounds_of(path)
        for number, line in enumerate(lines, start):
            line_id = file << _LINE_BITS | number
            event = read_line(self._stream, line)
            if event is None:
                bodies.append((line_id, None, line))
                continue
            facts = facts_of(event)
            self._learn(event, facts.at)
            if facts.at is not None:
                place = max(place, min(max(facts.at, first), last))
            combo = self._combo(facts.combo)
            values = (facts.cost, facts.tokens_in, facts.tokens_out, facts.latency)
            bodies.append((line_id, place, line))
            events.append((place, line_id, combo, facts.run, facts.parent, facts.at, *values))
            sums.add(combo, facts.at, values)
        rows = [(self._number, writer, *newest) for writer, newest in self._writers.items()]
        self._db.executemany(statement("set_writer"), rows)
        self._db.executemany(statement("add_body"), bodies)
        self._db.executemany(statement("add_event"), events)
        sums.write(self._db)
        return place

    def _learn(self, event: LogEvent, at: int | None) -> None:
        """What is kept of a writer's newest entry, and of redactions that the log itself wrote down."""
        if event.writer is None or event.seq is None or at is None:
            return
        self._writers[event.writer] = (min(event.seq, _MOST), at)
        writer, seq = event.text("writer_of"), event.whole("seq_of")
        if event.kind == REDACTION and event.writer == LOG_WRITER and writer and seq and 0 < seq < _MOST:
            self._db.execute(statement("add_redaction"), (self._stream, writer, seq))

    def _combo(self, names: tuple[str, ...]) -> int:
        found = self._combos.get(names)
        if found is None:
            row = self._db.execute(statement("combo"), names).fetchone()
            found = row["id"] if row else self._db.execute(statement("add_combo"), names).lastrowid
            assert found is not None and len(names) == len(COMBO)
            self._combos[names] = found
        return found


def bounds_of(path: str) -> tuple[int, int]:
    """The first and last place of events in the day file *path*."""
    day = datetime.combine(date.fromisoformat(path[-16:-6]), datetime.min.time(), UTC)
    try:
        after = day + timedelta(days=1)
    except OverflowError:
        after = day
    return microseconds(day) - _ZONES_US, microseconds(after) + _ZONES_US
