"""The triggers of a vault as callers see and change them."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, cast

from anyio import to_thread

from argosy_core.clock import rfc3339
from argosy_core.errors import AlreadyExists, ArgosyError, Conflict, InvalidArgument, NotFound, TooLarge
from argosy_core.frontmatter import edit
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import DoctorFinding, clamp_limit, decode_cursor, encode_cursor
from argosy_core.storage.base import ABSENT, Content, Items
from argosy_core.types import Caller, Role
from argosy_scheduler.access import check_may_ask, check_may_change, may_see
from argosy_scheduler.drafts import Draft
from argosy_scheduler.firing import Firing, enqueue
from argosy_scheduler.inspection import inspect_triggers, unknown_keys
from argosy_scheduler.ledger import STREAM, WRITER, Ledger
from argosy_scheduler.models import (
    Deleted,
    FiredItem,
    HistoryEntry,
    HistoryPage,
    Schedule,
    SchedulePage,
    Slot,
    Upcoming,
)
from argosy_scheduler.reading import history_entry, schedule_of, slot_of, why_no_times
from argosy_scheduler.trigger_file import ARCHIVE, Trigger, name_of, path_of, read_page, read_trigger
from argosy_scheduler.trigger_files import TriggerFiles

TRIES = 20  # compare-and-swap rounds before a writer gives up against others on the same trigger
MAX_NEXT = 100
AGENDA_ENTRIES = 20
MAX_OF_AN_AGENT = 200
# So far back the log is read for the last firing; what is older the ledger knows.
RECENT = timedelta(days=31)


class Schedules:
    """Reads and writes triggers; one object serves every caller."""

    def __init__(self, config: ServerConfig, items: Items | None = None) -> None:
        self._config = config
        self._given_items = items
        self._documents = config.store.documents
        self._chain = config.store.chain
        self._bell = config.store.bell
        self._clock = config.clock
        self._files = TriggerFiles(config.store.documents, config.clock)
        self._ledger = Ledger(config)

    # Reading

    async def page(self, caller: Caller, limit: int, cursor: str | None) -> SchedulePage:
        """The triggers that *caller* may see, in name order."""
        after, limit, now = _position(cursor), clamp_limit(limit), self._clock.now()
        found = await self._files.load()
        rest = [t for t in found.triggers if may_see(caller, t) and (after is None or t.name > after)]
        following = encode_cursor(rest[limit - 1].name) if len(rest) > limit else None
        problems = [str(error) for error in found.broken]
        return SchedulePage(items=[schedule_of(t, now) for t in rest[:limit]], next_cursor=following, problems=problems)

    async def get(self, caller: Caller, name: str) -> Schedule:
        """One trigger. Raises NotFound, also for what is not the caller's to see; Corrupted."""
        trigger = await self._find(caller, name)
        now = self._clock.now()
        async for event in self._events(name, since=(now - RECENT).date()):
            if event.get("kind") == "schedule.fired":
                return schedule_of(trigger, now, str(event.get("slot")))
        await self._ledger.load()
        account = self._ledger.accounts.get(name)
        return schedule_of(trigger, now, account.last if account else None)

    async def document(self, caller: Caller, name: str) -> str:
        """A trigger's file as it stands. Raises NotFound."""
        await self._find(caller, name)
        return (await self._documents.read(path_of(name))).data.decode()

    async def agenda(self, caller: Caller) -> str:
        """The next firings of all triggers that *caller* may see, as text."""
        now = self._clock.now()
        found = await self._files.load()
        coming: list[tuple[datetime, str]] = []
        for trigger in found.triggers:
            if trigger.enabled and may_see(caller, trigger) and (timetable := trigger.timetable) is not None:
                slots = itertools.islice(timetable.upcoming(now), AGENDA_ENTRIES)
                coming += [(due.at, trigger.name) for due in slots]
        lines = [f"{rfc3339(at)} {name}" for at, name in sorted(coming)[:AGENDA_ENTRIES]]
        return "\n".join([*lines, *(f"Problem: {error}" for error in found.broken)]) or "Nothing is scheduled."

    async def upcoming(self, caller: Caller, name: str, count: int) -> Upcoming:
        """The next *count* times of a trigger."""
        if not 1 <= count <= MAX_NEXT:
            raise InvalidArgument(f"count is 1 to {MAX_NEXT}")
        trigger = await self._find(caller, name)
        slots: list[Slot] = []
        if (timetable := trigger.timetable) is not None:
            slots = [slot_of(trigger, due) for due in itertools.islice(timetable.upcoming(self._clock.now()), count)]
        return Upcoming(items=slots, name=name, note=why_no_times(trigger, bool(slots)))

    async def history(self, caller: Caller, name: str, limit: int, cursor: str | None) -> HistoryPage:
        """What happened to a trigger, newest first; of one that was deleted too, for an operator."""
        if caller.role is not Role.OPERATOR:
            await self._find(caller, name)
        before, limit = _place(cursor), clamp_limit(limit)
        found: list[tuple[int, HistoryEntry]] = []
        async for event in self._events(name):
            seq = cast("int", event["seq"])
            if before is None or seq < before:
                found.append((seq, history_entry(event)))
            if len(found) > limit:
                break
        following = encode_cursor(found[limit - 1][0]) if len(found) > limit else None
        return HistoryPage(items=[entry for _, entry in found[:limit]], next_cursor=following)

    async def _events(self, name: str, since: date | None = None) -> AsyncIterator[Mapping[str, Any]]:
        async for event in self._chain.scan(STREAM, since=since, newest_first=True):
            if event.get("writer") == WRITER and event.get("trigger") == name and isinstance(event.get("seq"), int):
                yield event

    async def _find(self, caller: Caller, name: str) -> Trigger:
        path = path_of(name)
        if name_of(path) != name:
            raise InvalidArgument(f"not the name of a trigger: {name[:60]!a}", hint="schedule_list shows the names")
        try:
            # In a thread, as are the others: a time zone that is new to this process is read from a file.
            trigger = await to_thread.run_sync(read_trigger, await self._documents.read(path))
        except NotFound:
            trigger = None
        if trigger is None or not may_see(caller, trigger):
            raise NotFound(f"there is no trigger {name[:60]!r}", hint="schedule_list shows the triggers")
        return trigger

    # Changing

    async def put(self, caller: Caller, draft: Draft) -> Schedule:
        """Write a trigger, new or changed. Raises PermissionDenied, NotFound (the agent), Corrupted, Conflict."""
        if draft.target.kind == "agent" and draft.target.name not in await self._documents.folders():
            raise NotFound(f"there is no agent {draft.target.name!r}", hint="agent_list shows the agents")

        await self._check_room(caller, draft.name)

        def change(content: Content | None) -> str:
            creator = self._authority(caller)
            if content is None:
                return draft.written_into("", {"created": f"{self._clock.now():%Y-%m-%dT%H:%M:%SZ}", **creator})
            check_may_change(caller, read_trigger(content))
            return draft.written_into(content.data.decode(), creator)

        trigger = await self._write(caller, draft.name, change, "schedule.put")
        return schedule_of(trigger, self._clock.now())

    async def _check_room(self, caller: Caller, name: str) -> None:
        if caller.role is Role.OPERATOR:
            return
        mine = {trigger.name for trigger in (await self._files.load()).triggers if trigger.creator == caller.agent}
        if len(mine) >= MAX_OF_AN_AGENT and name not in mine:
            raise TooLarge(f"{caller.agent} has {len(mine)} triggers; that is the limit", hint="delete some first")

    async def enable(self, caller: Caller, name: str, enabled: bool) -> Schedule:
        """Switch a trigger on or off."""
        await self._find(caller, name)

        def change(content: Content | None) -> str:
            if content is None:
                raise NotFound(f"there is no trigger {name!r}", hint="schedule_list shows the triggers")
            check_may_change(caller, read_trigger(content))
            return edit(content.data.decode(), {"enabled": enabled})

        kind = "schedule.enabled" if enabled else "schedule.disabled"
        return schedule_of(await self._write(caller, name, change, kind), self._clock.now())

    async def _write(self, caller: Caller, name: str, change: Callable[[Content | None], str], kind: str) -> Trigger:
        path = path_of(name)
        for _ in range(TRIES):
            present = await self._present(path)
            data = (await to_thread.run_sync(change, present)).encode()
            wanted = await to_thread.run_sync(read_trigger, Content(path, data, "", (0, 0)))
            check_may_ask(caller, wanted.when, wanted.target)
            if present is not None and present.data == data:
                return read_trigger(present)
            try:
                version = ABSENT if present is None else present.version
                written = await self._documents.write(path, data, expect=version)
            except (Conflict, AlreadyExists):
                continue  # somebody changed it while we looked
            await self._log(caller, kind, name, {"sha256": written.version})
            self._bell.ring(path)
            return read_trigger(written)
        raise Conflict(f"many writers are at {path}", hint="try again in a moment")

    async def _present(self, path: str) -> Content | None:
        try:
            return await self._documents.read(path)
        except NotFound:
            return None

    def _authority(self, caller: Caller) -> dict[str, Any]:
        """Who stands behind a trigger: an agent with its grant; a person leaves what is there."""
        if caller.role is Role.OPERATOR:
            return {}
        return {"creator": caller.agent, **({"grant": caller.grant} if caller.grant else {})}

    async def delete(self, caller: Caller, name: str) -> Deleted:
        """Put a trigger's file away; nothing of it is lost."""
        await self._find(caller, name)
        path = path_of(name)
        for _ in range(TRIES):
            content = await self._documents.read(path)
            check_may_change(caller, read_trigger(content))
            kept = f"{ARCHIVE}/{name}.{self._clock.now():%Y%m%dT%H%M%S}.{content.version[:8]}.md"
            await self._documents.write(kept, content.data)
            try:
                await self._documents.remove(path, expect=content.version)
            except Conflict:
                continue  # it was changed in between: that version is kept too
            await self._log(caller, "schedule.deleted", name, {"archived": kept})
            self._bell.ring(path)
            return Deleted(name=name, path=kept)
        raise Conflict(f"many writers are at {path}", hint="try again in a moment")

    async def fire(self, caller: Caller, name: str, delivery: str | None = None) -> FiredItem:
        """Make an item of a trigger now, whatever its times; of one *delivery* of its webhook only once."""
        trigger, now = await self._find(caller, name), self._clock.now()
        check_may_change(caller, trigger)
        if delivery is None:
            firing = Firing(now, now, subject=f"by hand {self._config.ids.random(8).hex()}", manual=True)
        else:
            firing = Firing(now, now, about={"delivery": delivery}, delivery=delivery)
        fired = await enqueue(self._items, trigger, firing)
        await self._ledger.fired(trigger, firing, fired)
        queue = trigger.target.queue
        return FiredItem(name=name, slot=rfc3339(now), queue=queue, item=fired.item, key=fired.key)

    @property
    def _items(self) -> Items:
        return self._config.store.items if self._given_items is None else self._given_items

    async def _log(self, caller: Caller, kind: str, name: str, more: Mapping[str, Any]) -> None:
        who = {"agent": caller.agent if caller.role is not Role.OPERATOR else None, "run_id": caller.run}
        event = {"kind": kind, "trigger": name, "path": path_of(name), **more}
        await self._chain.append(STREAM, WRITER, event | {key: value for key, value in who.items() if value})

    # What the server base asks

    async def counts(self, agent: str | None) -> dict[str, int]:
        found = await self._files.load()
        caller = Caller(agent, Role.OPERATOR if agent is None else Role.AGENT)
        mine = [trigger for trigger in found.triggers if may_see(caller, trigger)]
        return {"triggers": len(mine), "enabled": sum(t.enabled for t in mine), "unreadable": len(found.broken)}

    async def doctor(self, agent: str | None) -> list[DoctorFinding]:
        found = await self._files.load()
        unknown: dict[str, dict[str, int]] = {}
        for trigger in found.triggers:
            try:
                page = read_page(await self._documents.read(trigger.path))
            except ArgosyError:
                continue  # changed or moved away since: the next doctor sees it
            unknown[trigger.path] = unknown_keys(page)
        return inspect_triggers(
            found.triggers, found.broken, unknown, await self._documents.folders(), self._clock.now()
        )

    def uris_of(self, path: str) -> list[str]:
        name = name_of(path)
        return [f"schedule://{name}", "schedule://agenda"] if name else []


def _position(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    name = decode_cursor(cursor, 1)[0]
    if not isinstance(name, str):
        raise InvalidArgument("not a cursor of this list", hint="pass next_cursor unchanged, or leave cursor out")
    return name


def _place(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    seq = decode_cursor(cursor, 1)[0]
    if isinstance(seq, bool) or not isinstance(seq, int):
        raise InvalidArgument("not a cursor of this list", hint="pass next_cursor unchanged, or leave cursor out")
    return seq
