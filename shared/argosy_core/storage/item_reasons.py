"""Why an item is not running: every reason, not only the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from argosy_core.clock import rfc3339
from argosy_core.storage.item import ENDED_STATES, Hold, Item


class Others(Protocol):
    """What is known of the other items of the queue."""

    def holder(self, key: str) -> str | None:
        """The leased item that holds the conflict key."""
        ...

    def ahead(self, item: Item) -> int:
        """How many claimable items come before *item*."""
        ...


def why_waiting(item: Item, rows: Others, now: datetime) -> Sequence[Hold]:
    """Every reason; none when the next claim of a fitting worker takes it."""
    if item.state in ENDED_STATES:
        return [Hold("ended", f"it is {item.state}{f': {item.reason}' if item.reason else ''}")]
    if item.state == "leased":
        until = f" until {rfc3339(item.lease.expires_at)}" if item.lease else ""
        return [Hold("leased", f"{item.lease.holder if item.lease else 'somebody'} works on it{until}")]
    return list(_reasons(item, rows, now))


def _reasons(item: Item, rows: Others, now: datetime) -> Iterator[Hold]:
    if item.state == "held":
        for hold in item.holds or ("nobody said why",):
            yield Hold("held", hold)
    if item.not_before is not None and item.not_before > now:
        why = f" after attempt {item.attempt} failed: {item.reason}" if item.state == "failed" else ""
        yield Hold("time", f"it waits until {rfc3339(item.not_before)}{why}")
    for key in item.conflict_keys:
        holder = rows.holder(key)
        if holder is not None:
            yield Hold("conflict_key", f"{holder} is being worked on and holds the conflict key {key!r}")
    for name, value in item.needs.items():
        yield Hold("needs", f"only a worker that has {_need(name, value)} takes it")
    ahead = rows.ahead(item) if item.state != "held" else 0
    if ahead:
        yield Hold("behind", f"{ahead} {'item comes' if ahead == 1 else 'items come'} before it")


def _need(name: str, value: Any) -> str:
    if value is True:
        return name
    if isinstance(value, list):
        return f"{name}: {', '.join(map(str, value))}"  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
    return f"{name} of at least {value}" if isinstance(value, int | float) else f"{name}: {value}"
