"""What the queue's tools return."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from argosy_core.clock import rfc3339
from argosy_core.serving.results import Page, Result
from argosy_core.storage.base import Hold, HoldKind, Item, ItemState

PAYLOAD_BYTES_IN_LISTS = 2_000
_SHOWN_CHARS = 400


class Attempt(BaseModel):
    """How one attempt failed."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    attempt: int
    at: str
    error: str


class QueueItem(Result):
    """A unit of work, where it stands and how it got there."""

    id: str
    queue: str
    state: ItemState
    payload: dict[str, Any] | None = Field(description="Left out of lists when it is long")
    key: str | None = None
    priority: int
    attempt: int = Field(description="Attempts so far")
    max_attempts: int
    not_before: str | None = None
    expires_at: str | None = None
    needs: dict[str, Any]
    conflict_keys: list[str]
    holds: list[str] = Field(description="What it is held for")
    creator: str | None = None
    created_at: str | None = None
    ended_at: str | None = None
    worker: str | None = Field(default=None, description="Who works on it")
    lease_until: str | None = None
    result: dict[str, Any] | None = None
    reason: str | None = Field(default=None, description="Why it is not done")
    failures: list[Attempt]
    problem: str | None = Field(default=None, description="Why its file cannot be read")
    uri: str

    def render(self) -> str:
        facts = [self.state, f"priority {self.priority}", f"attempt {self.attempt} of {self.max_attempts}"]
        facts += [f"worked on by {self.worker} until {self.lease_until}"] if self.worker else []
        facts += [f"not before {self.not_before}"] if self.not_before else []
        lines = [f"{self.id} in {self.queue}: {', '.join(facts)}"]
        lines += [f"payload {_shown(self.payload)}"] if self.payload is not None else []
        lines += [f"result {_shown(self.result)}"] if self.result is not None else []
        lines += [f"because: {self.reason}"] if self.reason else []
        lines += [f"held: {hold}" for hold in self.holds]
        lines += [f"cannot be read: {self.problem}"] if self.problem else []
        return "\n  ".join(lines)


class Enqueued(QueueItem):
    """A new item, or the one its key already named."""

    duplicate: bool = Field(description="True when the key was used before: nothing was added")

    def render(self) -> str:
        return f"{'Already there' if self.duplicate else 'Enqueued'}: {super().render()}"


class Waited(QueueItem):
    """An item after a wait."""

    finished: bool = Field(description="False when the time was up first")

    def render(self) -> str:
        return super().render() + ("" if self.finished else "\n  Not finished yet: wait again, or ask queue_explain.")


class ItemPage(Page[QueueItem]):
    """Items, newest first."""


class ClaimLease(BaseModel):
    """What proves a claim: each later call names the token."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    token: str
    generation: int
    expires_at: str


class ClaimedItem(Result):
    """An item to work on, and by whose authority."""

    id: str
    queue: str
    payload: dict[str, Any]
    attempt: int
    max_attempts: int
    priority: int
    key: str | None = None
    creator: str | None = None
    grant: str | None = Field(default=None, description="The creator's grant: the run gets no more than it")
    trigger: str | None = None
    lease: ClaimLease


class Claimed(Result):
    """What a claim got; empty when nothing is ready."""

    items: list[ClaimedItem]


class Changed(Result):
    """An item after a change."""

    id: str
    queue: str
    state: ItemState
    attempt: int
    priority: int
    not_before: str | None = None
    reason: str | None = None
    lease: ClaimLease | None = None


class Reason(BaseModel):
    """One reason why an item is not running."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    kind: HoldKind
    detail: str


class Explained(Result):
    """An item and every reason why it is not running."""

    item: QueueItem
    reasons: list[Reason] = Field(description="Empty: the next worker takes it")

    def render(self) -> str:
        lines = [f"- {reason.detail}" for reason in self.reasons]
        return "\n".join([self.item.render(), *(lines or ["Nothing holds it: it waits for the next worker."])])


class Drained(Result):
    """What draining a queue did."""

    queue: str
    cancelled: int
    leased: int = Field(description="Items that somebody still works on")


def fields_of(item: Item) -> dict[str, Any]:
    """The fields of a `QueueItem`."""
    lease = item.lease if item.state == "leased" else None
    failures = [Attempt(attempt=f.attempt, at=rfc3339(f.at), error=f.error) for f in item.failures]
    same = ("id", "queue", "state", "payload", "key", "priority", "attempt", "max_attempts", "creator", "result")
    return {
        **{name: getattr(item, name) for name in same},
        "not_before": _shown_time(item.not_before),
        "expires_at": _shown_time(item.expires_at),
        "created_at": _shown_time(item.created_at),
        "ended_at": _shown_time(item.ended_at),
        "needs": item.needs,
        "conflict_keys": list(item.conflict_keys),
        "holds": list(item.holds),
        "worker": lease.holder if lease else None,
        "lease_until": _shown_time(lease.expires_at) if lease else None,
        "reason": item.reason,
        "failures": failures,
        "problem": item.problem,
        "uri": f"queue://item/{item.id}",
    }


def whole(item: Item) -> QueueItem:
    """*item* with all it has."""
    return QueueItem(**fields_of(item))


def listed(item: Item) -> QueueItem:
    """*item* as a list shows it: what is long is left out."""
    fields = fields_of(item)
    for name in ("payload", "result"):
        if fields[name] is not None and len(json.dumps(fields[name])) > PAYLOAD_BYTES_IN_LISTS:
            fields[name] = None
    return QueueItem(**fields | {"failures": fields["failures"][-1:]})


def claimed(item: Item) -> ClaimedItem:
    """*item* as its worker gets it."""
    same = ("id", "queue", "payload", "attempt", "max_attempts", "priority", "key", "creator", "grant", "trigger")
    return ClaimedItem(**{name: getattr(item, name) for name in same}, lease=_lease(item))


def changed(item: Item) -> Changed:
    """*item* in short."""
    return Changed(
        id=item.id,
        queue=item.queue,
        state=item.state,
        attempt=item.attempt,
        priority=item.priority,
        not_before=_shown_time(item.not_before),
        reason=item.reason,
        lease=_lease(item) if item.state == "leased" else None,
    )


def explained(item: Item, holds: list[Hold]) -> Explained:
    """*item* with its reasons."""
    return Explained(item=whole(item), reasons=[Reason(kind=hold.kind, detail=hold.detail) for hold in holds])


def _lease(item: Item) -> ClaimLease:
    assert item.lease is not None
    lease = item.lease
    return ClaimLease(token=lease.token, generation=lease.generation, expires_at=rfc3339(lease.expires_at))


def _shown_time(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment is not None else None


def _shown(content: dict[str, Any] | None) -> str:
    text = json.dumps(content, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
