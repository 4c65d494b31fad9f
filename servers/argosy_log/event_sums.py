"""Adding up events before they are asked for: counts and sums by hour and by day, and how values lie by day."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from argosy_log.event_facts import DAY_US, HOUR_US
from argosy_log.event_sql import statement
from argosy_log.histogram import bucket_of

MEASURES = ("cost", "tokens_in", "tokens_out", "latency")
HOURS, DAYS = 0, 1
NO_SPAN = -1
ALL_FILES, ALL_SPANS = 0, -2  # where how values lie in the whole log is kept
Figures = tuple[int | None, ...]
"""Values in the order of `MEASURES`."""


@dataclass(slots=True)
class FileSums:
    """What events of one file come to."""

    file: int
    # (grain, span, combo) → events, then how many and how much of each measure
    sums: dict[tuple[int, int, int], list[int]] = field(default_factory=dict[tuple[int, int, int], list[int]])
    spreads: dict[tuple[int, int, str], Counter[int]] = field(default_factory=dict[tuple[int, int, str], Counter[int]])

    def add(self, combo: int, at: int | None, values: Figures) -> None:
        """Count one event."""
        hour, day = (NO_SPAN, NO_SPAN) if at is None else (at // HOUR_US, at // DAY_US)
        for key in ((HOURS, hour, combo), (DAYS, day, combo)):
            row = self.sums.get(key)
            if row is None:
                row = self.sums[key] = [0] * (1 + 2 * len(MEASURES))
            row[0] += 1
            place = 1
            for value in values:
                if value is not None:
                    row[place] += 1
                    row[place + 1] += value
                place += 2
        for measure, value in zip(MEASURES, values, strict=True):
            if value is not None:
                self.spreads.setdefault((day, combo, measure), Counter())[bucket_of(value)] += 1

    def write(self, db: sqlite3.Connection) -> None:
        """Add all of it to what the database has of the file."""
        rows = [(grain, self.file, span, combo, *row) for (grain, span, combo), row in self.sums.items()]
        db.executemany(statement("add_sums"), rows)
        for (day, combo, measure), counts in self.spreads.items():
            _add_spread(db, (self.file, day, combo, measure), counts)
        for (combo, measure), counts in _all_days(self.spreads).items():
            _add_spread(db, (ALL_FILES, ALL_SPANS, combo, measure), counts)


def counts_of(text: str) -> Counter[int]:
    """The counts of a spread as they are kept."""
    return Counter({int(bucket): count for bucket, count in json.loads(text).items()})


def _add_spread(db: sqlite3.Connection, key: tuple[int, int, int, str], counts: Counter[int]) -> None:
    kept = db.execute(statement("spread"), key).fetchone()
    whole = counts_of(kept["counts"]) if kept else Counter[int]()
    whole.update(counts)
    left = {bucket: count for bucket, count in whole.items() if count}
    db.execute(statement("set_spread"), (*key, json.dumps(left, separators=(",", ":"))))


def _all_days(spreads: Mapping[tuple[int, int, str], Counter[int]]) -> dict[tuple[int, str], Counter[int]]:
    found: dict[tuple[int, str], Counter[int]] = {}
    for (_, combo, measure), counts in spreads.items():
        found.setdefault((combo, measure), Counter()).update(counts)
    return found


def recount(db: sqlite3.Connection, file: int) -> None:
    """Add the file's events up again, after some were taken away."""
    kept = db.execute(statement("spreads_of_file"), {"file": file}).fetchall()
    gone = {(row["span"], row["combo"], row["measure"]): counts_of(row["counts"]) for row in kept}
    for (combo, measure), counts in _all_days(gone).items():
        less = Counter({bucket: -count for bucket, count in counts.items()})
        _add_spread(db, (ALL_FILES, ALL_SPANS, combo, measure), less)
    db.execute(statement("drop_sums"), {"file": file})
    db.execute(statement("drop_spreads"), {"file": file})
    sums = FileSums(file)
    for row in _events(db, file):
        sums.add(row["combo"], row["at"], tuple(row[measure] for measure in MEASURES))
    sums.write(db)


def _events(db: sqlite3.Connection, file: int) -> Iterable[sqlite3.Row]:
    yield from db.execute(statement("events_of_file"), {"first": file << 32, "last": file + 1 << 32})
