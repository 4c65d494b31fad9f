"""What the work queue keeps: items, what they are made from, and why they wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Lease:
    """A named lock with an end. The higher *generation* of two leases on one name is the valid one."""

    name: str
    holder: str
    token: str
    generation: int
    expires_at: datetime


ItemState = Literal["held", "ready", "leased", "done", "failed", "cancelled", "expired", "dead"]
ITEM_STATES: tuple[ItemState, ...] = ("held", "ready", "failed", "leased", "done", "cancelled", "expired", "dead")
WAITING_STATES: tuple[ItemState, ...] = ("held", "ready", "failed")
ENDED_STATES: tuple[ItemState, ...] = ("done", "cancelled", "expired", "dead")


@dataclass(frozen=True, slots=True)
class Failure:
    """How one attempt at an item ended."""

    attempt: int
    at: datetime
    error: str


@dataclass(frozen=True, slots=True)
class Item:
    """A unit of work.

    ``held`` waits until somebody says so (*holds* says for what), ``ready`` may be claimed once *not_before* has come,
    ``failed`` is ready again after an attempt that failed, ``leased`` is being worked on under *lease*, and a ``done``
    one keeps the lease that completed it. The others are ends, and *reason* says why it came to one. *attempt* counts
    claims, *generation* the leases ever given, *revision* the changes. *creator*, *grant* and *trigger* are who asked
    for it, by what authority and on what occasion. *problem* is set when the stored item cannot be read.
    """

    id: str
    queue: str
    state: ItemState
    payload: Mapping[str, Any]
    key: str | None = None
    priority: int = 0
    attempt: int = 0
    max_attempts: int = 3
    not_before: datetime | None = None
    expires_at: datetime | None = None
    lease: Lease | None = None
    result: Mapping[str, Any] | None = None
    reason: str | None = None
    needs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    conflict_keys: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    creator: str | None = None
    grant: str | None = None
    trigger: str | None = None
    created_at: datetime | None = None
    ended_at: datetime | None = None
    failures: tuple[Failure, ...] = ()
    generation: int = 0
    revision: int = 0
    seq: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class NewItem:
    """What an item is to be. *needs* are what a worker's profile must have; of the items of one queue that share a
    conflict key, one at a time is leased."""

    queue: str
    payload: Mapping[str, Any]
    key: str | None = None
    priority: int = 0
    not_before: datetime | None = None
    expires_at: datetime | None = None
    needs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    conflict_keys: Sequence[str] = ()
    max_attempts: int = 3
    holds: Sequence[str] = ()
    creator: str | None = None
    grant: str | None = None
    trigger: str | None = None


HoldKind = Literal["time", "held", "conflict_key", "needs", "leased", "behind", "ended", "problem"]


@dataclass(frozen=True, slots=True)
class Hold:
    """One reason why an item is not running."""

    kind: HoldKind
    detail: str
