"""The rules of items, the same over every substrate: who may have an item, and what each change makes of it.

Every function gives a new item; none looks at a clock or a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from argosy_core.canonical import canonical_json, sha256_hex
from argosy_core.clock import rfc3339
from argosy_core.errors import Conflict
from argosy_core.ids import Ids
from argosy_core.storage.item import ENDED_STATES, WAITING_STATES, Failure, Item, ItemState, Lease, NewItem
from argosy_core.storage.item_checks import MAX_TEXT_CHARS, check_text

FIRST_RETRY_SECONDS = 5.0
LAST_RETRY_SECONDS = 3600.0
FAILURES_KEPT = 20


def new_item(new: NewItem, id: str, now: datetime, seq: int) -> Item:
    """The item that *new*, checked before, asks for."""
    return Item(
        id=id,
        queue=new.queue,
        state="held" if new.holds else "ready",
        payload=new.payload,
        key=new.key,
        priority=new.priority,
        max_attempts=new.max_attempts,
        not_before=new.not_before,
        expires_at=new.expires_at,
        needs=new.needs,
        conflict_keys=tuple(dict.fromkeys(new.conflict_keys)),
        holds=tuple(new.holds),
        creator=new.creator,
        grant=new.grant,
        trigger=new.trigger,
        created_at=now,
        revision=1,
        seq=seq,
    )


def item_id(new: NewItem, now: datetime, ids: Ids) -> str:
    """The id of a new item: one that says when, or for a key the one that belongs to it in its queue for ever."""
    if new.key is None:
        return f"item_{now:%Y%m%dT%H%M%S}_{ids.random(6).hex()}"
    named = "\0".join((new.queue, new.key)).encode("utf-8", "surrogatepass")
    return f"item_k{sha256_hex(named)[:40]}"


def check_same(known: Item, new: NewItem) -> None:
    """Raises Conflict unless *known*, found by its key, is what *new* asks for."""
    if canonical_json(known.payload) != canonical_json(new.payload):
        hint = "use a new key for other work, or the same payload"
        raise Conflict(f"the key was used for another payload, in {known.id}", hint=hint, item=known.id)


# Who may have it


def fits(needs: Mapping[str, Any], profile: Mapping[str, Any] | None) -> bool:
    """Whether a worker with *profile* has all that *needs* names."""
    return all(_has((profile or {}).get(name), value) for name, value in needs.items())


def _has(offered: Any, needed: Any) -> bool:
    if isinstance(needed, list):
        return all(_has(offered, part) for part in needed)  # pyright: ignore[reportUnknownVariableType]
    if isinstance(offered, list):
        return any(_has(part, needed) for part in offered)  # pyright: ignore[reportUnknownVariableType]
    if isinstance(needed, bool) or isinstance(offered, bool) or not isinstance(needed, int | float):
        return type(offered) is type(needed) and offered == needed
    return isinstance(offered, int | float) and offered >= needed


def is_due(item: Item, now: datetime) -> bool:
    """Whether *item* waits for nothing but a worker."""
    return item.state in ("ready", "failed") and (item.not_before is None or item.not_before <= now)


def is_expired(item: Item, now: datetime) -> bool:
    """Whether *item* waited past its end."""
    return item.state in WAITING_STATES and item.expires_at is not None and item.expires_at <= now


def is_abandoned(item: Item, now: datetime) -> bool:
    """Whether the lease of *item* ended by the clock."""
    return item.state == "leased" and (item.lease is None or item.lease.expires_at <= now)


# What changes


def claimed(item: Item, worker: str, token: str, now: datetime, lease_seconds: float) -> Item:
    generation = item.generation + 1
    lease = Lease(item.id, worker, token, generation, now + timedelta(seconds=lease_seconds))
    attempt = item.attempt + 1
    return _next(item, state="leased", lease=lease, generation=generation, attempt=attempt, not_before=None, holds=())


def renewed(item: Item, lease: Lease, now: datetime, lease_seconds: float) -> Item:
    return _next(item, lease=replace(lease, expires_at=now + timedelta(seconds=lease_seconds)))


def completed(item: Item, result: Mapping[str, Any], now: datetime) -> Item:
    return _next(item, state="done", result=result, reason=None, ended_at=now)


def failed(item: Item, error: str, now: datetime, retry_in_seconds: float | None) -> Item:
    """Ready again after a pause, or dead with its last attempt."""
    text = error.strip()[:MAX_TEXT_CHARS] or "no reason given"
    if item.attempt >= item.max_attempts:
        return _dead(_with_failure(item, text, now), now)
    seconds = _pause(item.attempt) if retry_in_seconds is None else retry_in_seconds
    state: ItemState = "failed" if seconds > 0 else "ready"
    not_before = now + timedelta(seconds=seconds) if seconds > 0 else None
    return _next(_with_failure(item, text, now), state=state, lease=None, reason=text, not_before=not_before)


def _pause(attempt: int) -> float:
    return min(FIRST_RETRY_SECONDS * 2.0 ** (max(attempt, 1) - 1), LAST_RETRY_SECONDS)


def abandoned(item: Item, now: datetime) -> Item:
    """Ready again since nobody renewed its lease, or dead with its last attempt."""
    holder = f"{item.lease.holder} " if item.lease else ""
    ended = f"the lease of {holder}ended{f' at {rfc3339(item.lease.expires_at)}' if item.lease else ''}"
    item = _with_failure(item, ended, now)
    if item.attempt >= item.max_attempts:
        return _dead(item, now)
    return _next(item, state="ready", lease=None, reason=ended)


def released(item: Item, hold: str | None) -> Item:
    if hold is not None:
        check_text(hold, "a hold")
    state: ItemState = "held" if hold else "ready"
    attempt = max(0, item.attempt - 1)
    return _next(item, state=state, lease=None, attempt=attempt, holds=(hold.strip(),) if hold else ())


def expired(item: Item, now: datetime) -> Item:
    at = rfc3339(item.expires_at) if item.expires_at else ""
    return _next(item, state="expired", reason=f"not started before {at}", ended_at=now, holds=())


def cancelled(item: Item, reason: str, now: datetime) -> Item:
    """Raises Conflict when somebody works on it or it ended otherwise."""
    if item.state not in WAITING_STATES:
        hint = "wait for it, or ask its worker to stop" if item.state == "leased" else "nothing is left to cancel"
        raise Conflict(f"{item.id} is {item.state}", hint=hint, state=item.state)
    return _next(item, state="cancelled", reason=reason.strip()[:MAX_TEXT_CHARS] or "cancelled", ended_at=now, holds=())


def prioritized(item: Item, priority: int) -> Item:
    """Raises Conflict when it does not wait any more."""
    if item.state not in WAITING_STATES:
        raise Conflict(f"{item.id} is {item.state}", hint="only what waits has an order", state=item.state)
    return _next(item, priority=priority)


def retried(item: Item) -> Item:
    """Raises Conflict unless it is dead, held or failed."""
    if item.state not in ("dead", "held", "failed"):
        hint = "enqueue it again under a new key" if item.state in ENDED_STATES else "it will run by itself"
        raise Conflict(f"{item.id} is {item.state}", hint=hint, state=item.state)
    attempt = 0 if item.state == "dead" else item.attempt
    return _next(
        item, state="ready", attempt=attempt, lease=None, reason=None, not_before=None, ended_at=None, holds=()
    )


def check_token(item: Item, token: str) -> Lease:
    """The lease of *item* when *token* is its newest. Raises Conflict."""
    if item.state != "leased" or item.lease is None or item.lease.token != token:
        hint = "stop this attempt: the item went on without it"
        raise Conflict(
            f"the lease on {item.id} ended: it is {item.state}",
            hint=hint,
            state=item.state,
            generation=item.generation,
        )
    return item.lease


def completed_with(item: Item, token: str, result: Mapping[str, Any], now: datetime) -> Item:
    """*item* ended by the holder of *token*; as it is when that very call ended it before. Raises Conflict."""
    if is_repeat(item, token, result):
        return item
    check_token(item, token)
    return completed(item, result, now)


def is_repeat(item: Item, token: str, result: Mapping[str, Any]) -> bool:
    """Whether *item* was completed by this very call before."""
    if item.state != "done" or item.lease is None or item.lease.token != token:
        return False
    return canonical_json(item.result) == canonical_json(result)


def _with_failure(item: Item, error: str, now: datetime) -> Item:
    kept = (*item.failures, Failure(item.attempt, now, error))[-FAILURES_KEPT:]
    return replace(item, failures=kept)


def _dead(item: Item, now: datetime) -> Item:
    last = item.failures[-1].error
    reason = f"all {item.max_attempts} attempts are used up; the last: {last}"
    return _next(item, state="dead", lease=None, reason=reason, ended_at=now)


def _next(item: Item, **changes: Any) -> Item:
    return replace(item, revision=item.revision + 1, **changes)
