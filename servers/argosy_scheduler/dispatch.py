"""The engine: looks what is due and makes items of it. Any number of engines may run on one vault.

The clock only says when to try. Whoever is first to enqueue a slot's key has fired it; so nothing here needs to know of
other engines, and a clock that is set back re-opens slots whose keys then stand.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from argosy_core.clock import parse_time
from argosy_core.errors import ArgosyError
from argosy_core.serving.config import ServerConfig
from argosy_core.storage.base import Items
from argosy_scheduler.firing import Firing, enqueue
from argosy_scheduler.following import Follower
from argosy_scheduler.ledger import Ledger
from argosy_scheduler.slots import GRACE, MAX_CAUGHT_UP, Due
from argosy_scheduler.trigger_file import FOLDER, Trigger, name_of
from argosy_scheduler.trigger_files import Loaded, TriggerFiles
from argosy_scheduler.watching import Watcher, newest
from argosy_scheduler.when import OnEvent, Watch

RETRY_AFTER = timedelta(seconds=30)
POLL_S = 5.0
# What happened shortly before the newest thing that was fired may not have been fired yet.
OVERLAP = timedelta(seconds=60)
# More often than this a file or an event is answered only by itself: a loop.
MAX_OUTSIDE = 120
OUTSIDE_WINDOW = timedelta(minutes=10)
_INSTANT = timedelta(microseconds=1)

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Plan:
    """A trigger that runs: everything until *handled* was dealt with, *first* is what falls due after it if that is
    known, *next_at* when to look again."""

    trigger: Trigger
    handled: datetime
    first: datetime | None = None
    next_at: datetime | None = None

    def wait_for(self, due: Due | None) -> None:
        """Look again when *due* is."""
        self.first = self.next_at = due.at if due else None


class Engine:
    """Fires triggers of one vault. *problems* says what stands in the way of which."""

    def __init__(self, config: ServerConfig, items: Items | None = None) -> None:
        self.config = config
        self.problems: dict[str, str] = {}
        self._items = items
        self._files = TriggerFiles(config.store.documents, config.clock)
        self._ledger = Ledger(config)
        self._watcher = Watcher(config.store.documents)
        self._follower = Follower(config.store.chain)
        self._plans: dict[str, _Plan] = {}
        self._waiting: list[tuple[Trigger, Firing]] = []
        self._recent: dict[str, deque[datetime]] = {}
        self._last: datetime | None = None
        self._loaded: Loaded | None = None
        self._unplanned = False  # something could not be planned: try again next time

    async def tick(self) -> datetime | None:
        """Fire what is due; returns when something is due next, None when nothing is known to be."""
        now = self.config.clock.now()
        if self._last is None:
            await self._ledger.load()
        went_back = self._last is not None and now < self._last
        self._last = now
        await self._plan(now, went_back)
        for plan in list(self._plans.values()):
            if plan.next_at is not None and plan.next_at <= now:
                await self._fire_slots(plan, now)
        await self._fire_outside(now)
        await self._ledger.keep(now)
        times = [plan.next_at for plan in self._plans.values()]
        times += [self._watcher.next_look(), now + RETRY_AFTER if self._waiting else None]
        return min((time for time in times if time is not None), default=None)

    def concerns(self, path: str) -> bool:
        """Whether a change of the vault's *path* is a reason to tick."""
        if path.startswith(f"{FOLDER}/") or not path or self._watcher.concerns(path):
            return True
        return self._follower.is_needed and path.endswith(".jsonl") and "/log/" in path

    def heard(self, paths: frozenset[str]) -> None:
        """Take note of what changed; from any thread."""
        self._watcher.heard(paths)

    def next_poll(self) -> float | None:
        """Seconds until files or events must be looked at although nobody rang; None when somebody would ring."""
        needed = self._watcher.is_needed or self._follower.is_needed
        return POLL_S if needed and not self.config.store.bell.watching else None

    async def save(self) -> None:
        """Keep what the next start would otherwise read from the log."""
        if self._last is not None:
            await self._ledger.keep(self._last, always=True)

    # Planning

    async def _plan(self, now: datetime, went_back: bool) -> None:
        loaded = await self._files.load()
        if loaded is self._loaded and not went_back and not self._unplanned:
            return
        self._loaded, self._unplanned = loaded, False
        unreadable = {name_of(str(error.detail.get("path", ""))): str(error) for error in loaded.broken}
        running = {trigger.name: trigger for trigger in loaded.triggers if trigger.enabled}
        for name in self._plans.keys() - running.keys():
            self._forget(name)
        self.problems = {name: text for name, text in unreadable.items() if name is not None}
        for name, account in list(self._ledger.accounts.items()):
            # The times of a broken file still count: mended, it does what its policy says.
            if account.open and name not in running and name not in unreadable:
                self._unplanned |= not await self._attempt(name, self._ledger.pause(name))
        for trigger in running.values():
            plan = self._plans.get(trigger.name)
            if plan is None or went_back or plan.trigger != trigger:
                self._unplanned |= not await self._attempt(trigger.name, self._adopt(trigger, plan, now))

    def _forget(self, name: str) -> None:
        self._plans.pop(name, None)
        self._watcher.drop(name)
        self._follower.drop(name)

    async def _adopt(self, trigger: Trigger, plan: _Plan | None, now: datetime) -> None:
        if plan is not None and plan.trigger.timing != trigger.timing:
            self._forget(trigger.name)
            plan = None
        account = await self._ledger.open(trigger, now)
        handled = plan.handled if plan is not None else account.handled_until(trigger)
        handled = min(handled, now)
        outside = max(handled - OVERLAP, min(now, parse_time(account.since)))
        self._plans[trigger.name] = _Plan(trigger, handled)
        if isinstance(trigger.when, Watch):
            changed = await self._watcher.add(trigger, outside)
            await self._queue_outside(trigger, changed, now)
        elif isinstance(trigger.when, OnEvent):
            self._follower.add(trigger, outside)
        elif trigger.timetable is not None:
            self._plans[trigger.name].wait_for(trigger.timetable.next_due(handled))

    # Clock

    async def _fire_slots(self, plan: _Plan, now: datetime) -> None:
        trigger, timetable = plan.trigger, plan.trigger.timetable
        assert timetable is not None and plan.next_at is not None
        if plan.next_at <= now - GRACE:
            await self._catch_up(plan, now)
        # Nothing fell due before what was waited for: there is no need to look.
        handled = plan.handled if plan.first is None else max(plan.handled, plan.first - _INSTANT)
        reckoning = timetable.reckon(trigger.misfire, handled, now)
        for due in reckoning.fire:
            if not await self._attempt(trigger.name, self._fire(trigger, Firing(due.slot, due.at))):
                plan.handled, plan.first = due.at - _INSTANT, None
                plan.next_at = now + RETRY_AFTER
                return
            plan.handled = due.at
        if reckoning.missed is not None:
            until = reckoning.fire[0].slot if reckoning.fire else now
            await self._attempt(trigger.name, self._ledger.missed(trigger, reckoning.missed.slot, until, "late"))
        plan.handled = now
        plan.wait_for(timetable.next_due(now))

    async def _catch_up(self, plan: _Plan, now: datetime) -> None:
        """This engine slept; another one may not have."""
        await self._attempt(plan.trigger.name, self._ledger.refresh())
        account = self._ledger.accounts.get(plan.trigger.name)
        if account is not None and account.last is not None and account.timing == plan.trigger.timing:
            plan.handled = max(plan.handled, min(account.handled_until(plan.trigger), now))

    # Files and events

    async def _fire_outside(self, now: datetime) -> None:
        found = await self._watcher.poll(now, everything=not self.config.store.bell.watching)
        self._waiting += found
        by_trigger: dict[str, list[Firing]] = {}
        for trigger, firing in await self._follower.poll(now):
            by_trigger.setdefault(trigger.name, []).append(firing)
        for name, firings in by_trigger.items():
            await self._queue_outside(self._plans[name].trigger, firings, now)
        waiting, self._waiting = self._waiting, []
        for trigger, firing in waiting:
            if trigger.name not in self._plans or await self._is_loop(trigger, firing, now):
                continue
            if not await self._attempt(trigger.name, self._fire(trigger, firing)):
                self._waiting.append((trigger, firing))

    async def _queue_outside(self, trigger: Trigger, firings: Sequence[Firing], now: datetime) -> None:
        """Apply the policy to what happened while nobody looked."""
        late = [f for f in firings if f.slot <= now - GRACE and not await self._ledger.has_fired(trigger, f)]
        kept: list[Firing] = []
        if late and trigger.misfire == "once":
            kept = [newest(late)]
        elif late and trigger.misfire == "all":
            kept = late[-MAX_CAUGHT_UP:]
        if late and len(kept) < len(late) and trigger.misfire != "once":
            until = kept[0].slot if kept else late[-1].slot
            await self._attempt(trigger.name, self._ledger.missed(trigger, late[0].slot, until, "late"))
        kept += [firing for firing in firings if firing.slot > now - GRACE]
        self._waiting += [(trigger, firing) for firing in kept]

    async def _is_loop(self, trigger: Trigger, firing: Firing, now: datetime) -> bool:
        recent = self._recent.setdefault(trigger.name, deque())
        while recent and not now - OUTSIDE_WINDOW < recent[0] <= now:
            recent.popleft()
        if len(recent) < MAX_OUTSIDE or firing.slot <= now - GRACE:
            recent.append(now)
            return False
        self.problems[trigger.name] = f"more than {MAX_OUTSIDE} firings in ten minutes: it seems to fire itself"
        await self._attempt(trigger.name, self._ledger.missed(trigger, recent[-1], now, "too often"))
        return True

    # Firing

    async def _fire(self, trigger: Trigger, firing: Firing) -> None:
        fired = await enqueue(self._queue, trigger, firing)
        await self._ledger.fired(trigger, firing, fired)
        self.problems.pop(trigger.name, None)

    @property
    def _queue(self) -> Items:
        return self.config.store.items if self._items is None else self._items

    async def _attempt(self, name: str, work: Awaitable[None]) -> bool:
        """Whether *work* was done; one trigger's failure does not stop the others."""
        try:
            await work
        except ArgosyError as error:
            self.problems[name] = str(error)
            logger.warning("the trigger %s could not go on: %s", name, error)
            return False
        return True
