"""One firing of a trigger: the item it becomes, under a key that is the same whoever enqueues it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from argosy_core.canonical import sha256_hex
from argosy_core.clock import rfc3339
from argosy_core.errors import Conflict
from argosy_core.storage.base import Items, NewItem
from argosy_scheduler.trigger_file import Trigger


@dataclass(frozen=True, slots=True)
class Firing:
    """A trigger's slot that is to become an item.

    *due* is when it was to fire. *subject* tells apart what happened in one moment (a file and its stamp, an event);
    *about* is the cue to it that the item carries. One that a person asked for is *manual*. *delivery* is the id that
    an outside system gives to its call: whenever that comes again, it is the same firing.
    """

    slot: datetime
    due: datetime
    subject: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])
    manual: bool = False
    delivery: str | None = None


@dataclass(frozen=True, slots=True)
class Fired:
    """What a firing came to. *item* is None when its key stands for a payload of an earlier version of the trigger."""

    key: str
    item: str | None
    duplicate: bool


def key_of(name: str, firing: Firing) -> str:
    """The key under which *firing* of the trigger *name* is enqueued, once for ever."""
    if firing.delivery is not None:
        return f"schedule:{name}:delivery:{sha256_hex(firing.delivery.encode())}"
    subject = f":{sha256_hex(firing.subject.encode())[:16]}" if firing.subject is not None else ""
    return f"schedule:{name}:{rfc3339(firing.slot)}{subject}"


def payload_of(trigger: Trigger, firing: Firing) -> dict[str, Any]:
    """What the worker gets: the same for every scheduler, so nothing of who fires it or when."""
    task = trigger.task or f"The schedule {trigger.name} came due."
    payload = {"task": task, "trigger": trigger.name, "slot": rfc3339(firing.slot), **firing.about}
    return {"agent": trigger.target.name, **payload} if trigger.target.kind == "agent" else payload


async def enqueue(items: Items, trigger: Trigger, firing: Firing) -> Fired:
    """Make *firing* an item, unless it is one. Raises what the queue raises."""
    key = key_of(trigger.name, firing)
    new = NewItem(
        trigger.target.queue,
        payload_of(trigger, firing),
        key=key,
        creator=trigger.creator,
        grant=trigger.grant,
        trigger=trigger.name,
    )
    try:
        item, duplicate = await items.enqueue(new)
    except Conflict:  # it was fired before: its task was changed since, or its delivery came at another time
        return Fired(key, None, True)
    return Fired(key, item.id, duplicate)
