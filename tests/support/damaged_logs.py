"""Logs of any length, and the six kinds of damage that `verify` names, each planted at a known entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from argosy_core.canonical import NO_PREVIOUS
from argosy_core.clock import rfc3339
from argosy_core.storage.base import Store
from argosy_core.storage.chain_anchors import ANCHOR, Anchor
from argosy_core.storage.chain_days import day_path
from argosy_core.storage.chain_lines import make_entry
from argosy_core.testing.conformance import OTHER_STREAM, STREAM

START = datetime(2026, 11, 1, 8, tzinfo=UTC)
DAYS = 8
WRITER = "w"
Found = tuple[str, str, int]
"""What a finding is: kind, stream, entry."""


@dataclass(frozen=True, slots=True)
class LargeLog:
    """A log of *count* entries of one writer, as many each day; *days* are its day files' lines."""

    count: int
    days: Mapping[str, Sequence[bytes]]
    hashes: Sequence[str]

    @property
    def per_day(self) -> int:
        return self.count // DAYS

    def path(self, seq: int) -> str:
        return list(self.days)[(seq - 1) // self.per_day]

    def time(self, seq: int) -> str:
        return time_of((seq - 1) // self.per_day)

    def without(self, first: int, last: int) -> dict[str, list[bytes]]:
        """The days without these entries."""
        return self.changed(lambda seq, line: None if first <= seq <= last else line)

    def changed(self, change: Callable[[int, bytes], bytes | None]) -> dict[str, list[bytes]]:
        """The days with what *change* makes of each entry's line; None takes it away."""
        found: dict[str, list[bytes]] = {}
        for number, (path, lines) in enumerate(self.days.items()):
            made = (change(number * self.per_day + place, line) for place, line in enumerate(lines, 1))
            found[path] = [line for line in made if line is not None]
        return found

    def anchor(self, seq: int) -> Anchor:
        return Anchor(self.time(seq), STREAM, WRITER, seq, self.hashes[seq - 1], seq)


def time_of(day: int) -> str:
    return rfc3339(START + timedelta(days=day))


def large_log(count: int, *, text: str = "as it was", first: int = 1, prev: bytes = NO_PREVIOUS) -> LargeLog:
    """A whole log; with *first* and *prev* its entries from that one on, for one that goes on otherwise."""
    days: dict[str, list[bytes]] = {day_path(STREAM, (START + timedelta(days=day)).date()): [] for day in range(DAYS)}
    paths, hashes = list(days), [""] * (first - 1)
    for seq in range(first, count + 1):
        day = (seq - 1) // (count // DAYS)
        event = {"kind": "note.write", "n": seq, "text": text, "run_id": f"run-{seq // 50}"}
        entry, line = make_entry(STREAM, WRITER, seq, prev, time_of(day), event, bytes(16))
        prev = bytes.fromhex(entry.hash)
        hashes.append(entry.hash)
        days[paths[day]].append(line)
    return LargeLog(count, days, hashes)


async def store_log(log: LargeLog, store: Store) -> None:
    """Put *log* into the empty *store*, with anchors of its middle and its end in the fleet's stream."""
    for path, lines in log.days.items():
        await store.archive.write(path, b"".join(lines))
    anchors = [log.anchor(seq).as_json() for seq in (log.count // 2, log.count)]
    await store.chain.append("_fleet", "log", {"kind": ANCHOR, "heads": anchors})


@dataclass(frozen=True, slots=True)
class Damage:
    """What is stored after it of `STREAM`, and of `OTHER_STREAM`, and what must be found."""

    days: Mapping[str, Sequence[bytes]]
    found: Sequence[Found]
    moved: Mapping[str, Sequence[bytes]]


def altered(log: LargeLog) -> Damage:
    at = log.count * 3 // 7

    def change(seq: int, line: bytes) -> bytes:
        return line.replace(b'"text":"as it was"', b'"text":"as I like"') if seq == at else line

    return Damage(log.changed(change), [("altered", STREAM, at)], {})


def gap(log: LargeLog) -> Damage:
    at = log.count * 2 // 7
    return Damage(log.without(at - 2, at), [("gap", STREAM, at + 1)], {})


def missing(log: LargeLog) -> Damage:
    """A day's file in the middle."""
    first = 3 * log.per_day + 1
    days = {path: lines for path, lines in log.days.items() if path != log.path(first)}
    return Damage(days, [("missing", STREAM, first)], {})


def truncated(log: LargeLog) -> Damage:
    """The last day's end."""
    at = log.count - log.per_day // 3
    return Damage(log.without(at, log.count), [("truncated", STREAM, at)], {})


def moved(log: LargeLog) -> Damage:
    at = log.count * 4 // 7
    path = log.path(at).replace(STREAM, OTHER_STREAM, 1)
    line = log.days[log.path(at)][(at - 1) % log.per_day]
    found = [("gap", STREAM, at + 1), ("moved", OTHER_STREAM, at)]
    return Damage(log.without(at, at), found, {path: [line]})


def rewritten(log: LargeLog) -> Damage:
    """From the middle on another log, all of its hashes right."""
    first = log.count // 2 + 1
    other = large_log(log.count, text="it was I", first=first, prev=bytes.fromhex(log.hashes[first - 2]))
    days = {path: [*lines, *other.days[path]] for path, lines in log.without(first, log.count).items()}
    return Damage(days, [("rewritten", STREAM, first)], {})


DAMAGES: Mapping[str, Callable[[LargeLog], Damage]] = {
    plant.__name__: plant for plant in (altered, gap, missing, truncated, moved, rewritten)
}


def joined(days: Mapping[str, Sequence[bytes]]) -> dict[str, bytes]:
    """Day files of lines."""
    return {path: b"".join(lines) for path, lines in days.items()}
