"""Events of the log that triggers wait for, in the order in which each stream has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from argosy_core.clock import parse_time
from argosy_core.storage.base import Chain
from argosy_scheduler.firing import Firing
from argosy_scheduler.ledger import STREAM, WRITER
from argosy_scheduler.trigger_file import Trigger
from argosy_scheduler.when import OnEvent

MAX_RUNS_REMEMBERED = 10_000
_Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Interest:
    """A trigger and from when its events count."""

    trigger: Trigger
    since: datetime


class Follower:
    """Reads on in every stream. Each event is looked at once by one follower."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._interests: dict[str, _Interest] = {}
        self._seen: dict[tuple[str, str], int] = {}
        self._started = False
        self._read_until: datetime | None = None
        # Which trigger a run goes back to: what such a run logs must not fire that trigger again.
        self._origins: dict[str, str] = {}

    @property
    def is_needed(self) -> bool:
        """Whether any trigger waits for events."""
        return bool(self._interests)

    def add(self, trigger: Trigger, handled_until: datetime) -> None:
        """Wait for events of *trigger* after *handled_until*; those in the past come with the next `poll`."""
        old = self._interests.get(trigger.name)
        self._interests[trigger.name] = _Interest(trigger, old.since if old else handled_until)
        if old is None and (self._read_until is None or handled_until < self._read_until):
            self._started = False  # read again from there: what others got twice has a key

    def drop(self, name: str) -> None:
        """Wait no more for the trigger *name*."""
        self._interests.pop(name, None)

    async def poll(self, now: datetime) -> list[tuple[Trigger, Firing]]:
        """What has happened since the last time."""
        if not self._interests:
            return []
        since = min(interest.since for interest in self._interests.values()) if not self._started else self._read_until
        if not self._started:
            self._seen = {}
        events = await self._new_events((since or now) - timedelta(days=1))
        self._started, self._read_until = True, now
        found: list[tuple[Trigger, Firing]] = []
        for stream, event in events:
            self._learn_origin(event)
            found += self._wanted(stream, event)
        return found

    async def _new_events(self, since: datetime) -> list[tuple[str, _Event]]:
        wanted: dict[str, int] = {}
        for head in await self._chain.heads():
            new = head.seq - self._seen.get((head.stream, head.writer), 0)
            if new > 0:
                wanted[head.stream] = wanted.get(head.stream, 0) + new
        return [
            (stream, event) for stream in sorted(wanted) for event in await self._tail(stream, wanted[stream], since)
        ]

    async def _tail(self, stream: str, count: int, since: datetime) -> list[_Event]:
        """The last *count* entries of *stream* that were not read yet, oldest first."""
        found: list[_Event] = []
        async for event in self._chain.scan(stream, since=since.date(), newest_first=True):
            seq, writer = event.get("seq"), str(event.get("writer"))
            if isinstance(seq, int) and seq > self._seen.get((stream, writer), 0):
                found.append(event)
                if len(found) == count:
                    break
        found.reverse()
        for event in found:
            place = stream, str(event["writer"])
            self._seen[place] = max(self._seen.get(place, 0), event["seq"])
        return found

    def _learn_origin(self, event: _Event) -> None:
        run, parent, trigger = event.get("run_id"), event.get("parent_run_id"), event.get("trigger")
        if not isinstance(run, str) or event.get("writer") == WRITER:
            return
        origin = trigger if isinstance(trigger, str) else self._origins.get(str(parent))
        if origin is not None:
            self._origins[run] = origin
            if len(self._origins) > MAX_RUNS_REMEMBERED:
                del self._origins[next(iter(self._origins))]

    def _wanted(self, stream: str, event: _Event) -> list[tuple[Trigger, Firing]]:
        kind = event.get("kind") or event.get("event")
        if not isinstance(kind, str) or (stream, event.get("writer")) == (STREAM, WRITER):
            return []
        try:
            at = parse_time(str(event.get("ts")))
        except (ValueError, OverflowError):
            return []
        return [
            (interest.trigger, _firing(stream, event, kind, at))
            for interest in self._interests.values()
            if at >= interest.since and self._concerns(interest.trigger, stream, event, kind)
        ]

    def _concerns(self, trigger: Trigger, stream: str, event: _Event, kind: str) -> bool:
        assert isinstance(trigger.when, OnEvent)
        if not trigger.when.means(kind) or self._is_its_own(trigger.name, event):
            return False
        # An agent hears of its own stream, and of the fleet's what names it.
        own = trigger.creator
        return own is None or stream == own or (stream == STREAM and event.get("agent") == own)

    def _is_its_own(self, name: str, event: _Event) -> bool:
        if event.get("trigger") == name or str(event.get("key", "")).startswith(f"schedule:{name}:"):
            return True
        return self._origins.get(str(event.get("run_id"))) == name


def _firing(stream: str, event: _Event, kind: str, at: datetime) -> Firing:
    place = {"stream": stream, "writer": str(event.get("writer")), "seq": event["seq"], "kind": kind}
    return Firing(at, at, subject=f"{stream}/{place['writer']}/{place['seq']}", about={"event": place})
