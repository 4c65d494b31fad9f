"""From triggers and events to what the tools return."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from argosy_core.clock import rfc3339
from argosy_scheduler.models import HistoryEntry, Schedule, Slot
from argosy_scheduler.slots import Due
from argosy_scheduler.trigger_file import Trigger
from argosy_scheduler.when import At, OnEvent, Watch, Webhook
from argosy_scheduler.zones import load_zone


def schedule_of(trigger: Trigger, now: datetime, last: str | None = None) -> Schedule:
    """*trigger* as it stands at *now*."""
    timetable = trigger.timetable
    due = timetable.next_due(now) if timetable is not None and trigger.enabled else None
    return Schedule(
        name=trigger.name,
        when=trigger.when.fields(),
        target=trigger.target.fields(),
        timezone=trigger.timezone,
        misfire=trigger.misfire,
        jitter_s=trigger.jitter_s,
        enabled=trigger.enabled,
        input=trigger.task,
        next=rfc3339(due.at) if due else None,
        last=last,
        creator=trigger.creator,
        note=why_no_times(trigger, due is not None),
        path=trigger.path,
        uri=f"schedule://{trigger.name}",
        version=trigger.version,
    )


def why_no_times(trigger: Trigger, has_times: bool) -> str | None:
    """What to know of a trigger for which no clock says when it fires next."""
    if has_times:
        return None if trigger.enabled else "It is off: schedule_enable switches it on."
    if isinstance(trigger.when, Webhook):
        door = f"It fires when POST /hooks/{trigger.when.path} of the running fleet gets a delivery that is signed"
        return door if trigger.enabled else "It is off: schedule_enable switches it on."
    if not trigger.enabled:
        return "It is off: schedule_enable switches it on."
    if isinstance(trigger.when, Watch):
        return f"It fires when a file {trigger.when.glob.pattern} changes."
    if isinstance(trigger.when, OnEvent):
        return f"It fires when {trigger.when.event} is logged."
    return "Its time is over." if isinstance(trigger.when, At) else "It has no more times."


def slot_of(trigger: Trigger, due: Due) -> Slot:
    """A coming slot, also in the trigger's own time."""
    local = due.slot.astimezone(load_zone(trigger.timezone))
    return Slot(slot=rfc3339(due.slot), due=rfc3339(due.at), local=local.isoformat(timespec="seconds"))


def history_entry(event: Mapping[str, Any]) -> HistoryEntry:
    """An event of the log in the words of the tool."""
    kind = str(event.get("kind")).removeprefix("schedule.")
    parts = [f"{key} {event[key]}" for key in ("why", "from", "until", "path", "agent") if event.get(key)]
    parts += ["by hand"] if event.get("manual") else []
    slot, item = event.get("slot"), event.get("item")
    return HistoryEntry(
        at=str(event.get("ts")),
        kind=kind,
        slot=slot if isinstance(slot, str) else None,
        item=item if isinstance(item, str) else None,
        detail=", ".join(parts) or None,
    )
