"""Which slots are due: pure reckoning over a trigger's times, its jitter and its misfire policy.

A *slot* is a time that the trigger names; it falls *due* then, or up to *jitter_s* later, by an amount that is always
the same for one trigger and slot.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from argosy_core.clock import rfc3339
from argosy_scheduler.when import Clocked

Misfire = Literal["skip", "once", "all"]
MISFIRES: tuple[Misfire, ...] = ("skip", "once", "all")
GRACE = timedelta(seconds=60)
MAX_CAUGHT_UP = 1000
MAX_JITTER_S = 86_400
_FIRST_LOOK_BACK = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """A slot and the moment from which it may fire."""

    at: datetime
    slot: datetime


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What to do now: *fire* these, oldest first; *missed* is the first of those that are left out, if any is."""

    fire: tuple[Due, ...] = ()
    missed: Due | None = None


@dataclass(frozen=True, slots=True)
class Timetable:
    """The slots of one trigger with its jitter."""

    name: str
    when: Clocked
    jitter_s: int = 0

    def reckon(self, misfire: Misfire, handled_until: datetime, now: datetime) -> Reckoning:
        """What to do about everything that fell due after *handled_until*, until *now*."""
        if misfire == "once":
            return Reckoning(tuple(self._newest(handled_until, now, 1)))
        if misfire == "skip":
            late = now - GRACE
            missed = self.next_due(handled_until) if handled_until < late else None
            fire = tuple(self._newest(max(handled_until, late), now, MAX_CAUGHT_UP))
            return Reckoning(fire, missed if missed is not None and missed.at <= late else None)
        found = self._newest(handled_until, now, MAX_CAUGHT_UP + 1)
        too_many = len(found) > MAX_CAUGHT_UP
        return Reckoning(tuple(found[-MAX_CAUGHT_UP:]), self.next_due(handled_until) if too_many else None)

    def next_due(self, after: datetime) -> Due | None:
        """The first that falls due after *after*; None when there is none."""
        return next(self.upcoming(after), None)

    def upcoming(self, after: datetime) -> Iterator[Due]:
        """What falls due after *after*, in order."""
        if not self.jitter_s:
            yield from (Due(slot, slot) for slot in self.when.slots(after))
            return
        jitter, waiting = timedelta(seconds=self.jitter_s), list[Due]()
        for slot in self.when.slots(after - jitter):
            while waiting and waiting[0].at <= slot:  # nothing later can fall due before it
                yield waiting.pop(0)
            due = self._due(slot)
            if due.at > after:
                waiting = sorted([*waiting, due])
        yield from waiting

    def _newest(self, after: datetime, until: datetime, count: int) -> list[Due]:
        """The last *count* that fell due after *after* and not after *until*. Years of them are not all counted up."""
        span = _FIRST_LOOK_BACK
        while True:
            start = max(after, until - span)
            found = self._between(start, until)
            if start == after or len(found) >= count:
                return found[-count:]
            span *= 2

    def _between(self, after: datetime, until: datetime) -> list[Due]:
        found: list[Due] = []
        for slot in self.when.slots(after - timedelta(seconds=self.jitter_s)):
            if slot > until:
                break
            due = self._due(slot)
            if after < due.at <= until:
                found.append(due)
        return sorted(found)

    def _due(self, slot: datetime) -> Due:
        if not self.jitter_s:
            return Due(slot, slot)
        digest = hashlib.sha256(f"{self.name}\0{rfc3339(slot)}".encode()).digest()
        return Due(slot + timedelta(seconds=int.from_bytes(digest[:8], "big") % (self.jitter_s + 1)), slot)
