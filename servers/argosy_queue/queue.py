"""The queues of a vault over items: who may see and change what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from argosy_core.clock import parse_time
from argosy_core.errors import Conflict, InvalidArgument, NotFound
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import MAX_LIMIT, DoctorFinding, clamp_limit, decode_cursor, encode_cursor
from argosy_core.serving.server import need_agent
from argosy_core.storage.base import ENDED_STATES, Hold, Item, ItemState, NewItem
from argosy_core.types import Caller, Role
from argosy_queue.history import ROOT, QueueHistory
from argosy_queue.models import (
    Changed,
    Claimed,
    Drained,
    Enqueued,
    Explained,
    ItemPage,
    QueueItem,
    Waited,
    changed,
    claimed,
    explained,
    fields_of,
    listed,
    whole,
)
from argosy_queue.waiting import Tell, wait_for_end

DRAINED_AT_ONCE = 500
SCHEDULES_KEYS = "schedule:"  # an agent that took one would stop a firing
Labels = Mapping[str, Any] | Sequence[str]


class Queue:
    """Enqueues, gives out and ends work; one object serves every agent of the vault."""

    def __init__(self, config: ServerConfig) -> None:
        self._items = config.store.items
        self._documents = config.store.documents
        self._bell = config.store.bell
        self._clock = config.clock
        self._history = QueueHistory(config)

    # For everybody

    async def enqueue(self, caller: Caller, new: NewItem) -> Enqueued:
        """Add an item for the caller's agent. Raises NotFound (the agent), Conflict (the key), TooLarge."""
        creator = _scope(caller) or caller.agent
        if creator is not None and creator not in await self._documents.folders():
            raise NotFound(f"there is no agent {creator!r}", hint="agent_list shows the agents")
        if new.key is not None and new.key.startswith(SCHEDULES_KEYS):
            raise InvalidArgument(f"keys that begin with {SCHEDULES_KEYS} are the scheduler's", hint="use another key")
        item, duplicate = await self._items.enqueue(new)
        if duplicate and not _sees(caller, item):
            raise Conflict("the key is taken in this queue", hint="put your agent's name into the key")
        if not duplicate:
            await self._history.tell("queue.enqueue", item, caller, priority=item.priority)
        return Enqueued(**fields_of(item), duplicate=duplicate)

    async def cancel(self, caller: Caller, item: str) -> Changed:
        """Cancel an item that nobody works on. Raises Conflict, NotFound."""
        before = await self._find(caller, item)
        after = await self._items.cancel(item, f"cancelled by {caller.agent or caller.role.value}")
        if after.revision != before.revision:
            await self._history.tell("queue.cancel", after, caller)
        return changed(after)

    async def prioritize(self, caller: Caller, item: str, priority: int) -> Changed:
        """Change an item's place in the order. Raises Conflict, NotFound."""
        await self._find(caller, item)
        after = await self._items.prioritize(item, priority)
        await self._history.tell("queue.prioritize", after, caller, priority=priority)
        return changed(after)

    async def retry(self, caller: Caller, item: str) -> Changed:
        """Make a dead, held or failed item ready. Raises Conflict, NotFound."""
        before = await self._find(caller, item)
        after = await self._items.retry(item)
        await self._history.tell("queue.retry", after, caller, before=before.state)
        return changed(after)

    async def inspect(
        self, caller: Caller, queue: str | None, state: ItemState | None, limit: int, cursor: str | None
    ) -> ItemPage:
        """The caller's items, newest first; an operator's are all."""
        position = decode_cursor(cursor, 1)[0] if cursor else None
        if position is not None and not isinstance(position, str):
            raise InvalidArgument("not a cursor of this list", hint="pass next_cursor unchanged, or leave cursor out")
        found, following = await self._items.list(
            queue, state, creator=_scope(caller), limit=clamp_limit(limit), cursor=position
        )
        await self._history.catch_up()
        return ItemPage(
            items=[listed(item) for item in found], next_cursor=encode_cursor(following) if following else None
        )

    async def get(self, caller: Caller, item: str) -> QueueItem:
        """One item. Raises NotFound, also for what is not the caller's to see."""
        return whole(await self._find(caller, item))

    async def explain(self, caller: Caller, item: str) -> Explained:
        """Every reason why an item is not running. Raises NotFound."""
        await self._find(caller, item)
        found, holds = await self._items.explain(item)
        hidden = None if _scope(caller) is None else "another item is being worked on and holds the conflict key"
        return explained(found, [_veiled(hold, hidden) for hold in holds])

    async def wait(self, caller: Caller, item: str, timeout_seconds: float, tell: Tell) -> Waited:
        """An item once it has ended, or as it is when the time is up. Raises NotFound."""

        async def look() -> Item:
            return await self._find(caller, item)

        found = await wait_for_end(self._bell, self._clock, look, timeout_seconds, tell)
        return Waited(**fields_of(found), finished=found.state in ENDED_STATES)

    async def _find(self, caller: Caller, item: str) -> Item:
        found = await self._items.get(item)
        await self._history.catch_up()
        if not _sees(caller, found):
            raise NotFound(f"there is no item {item!r}", hint="queue_inspect shows the items")
        return found

    # For the host

    async def claim(
        self, caller: Caller, queue: str, worker: str, lease_seconds: float, count: int, profile: Labels | None
    ) -> Claimed:
        """Take up to *count* items that are due and fit. Nothing ready: an empty list."""
        found = await self._items.claim(queue, worker, lease_seconds, count, labels(profile))
        await self._history.catch_up()
        for item in found:
            await self._history.tell("queue.claim", item, caller)
        return Claimed(items=[claimed(item) for item in found])

    async def renew(self, item: str, token: str, lease_seconds: float) -> Changed:
        """Move the end of a claim. It is no event: only its end is."""
        return changed(await self._items.renew(item, token, lease_seconds))

    async def end_attempt(self, kind: str, caller: Caller, attempt: Awaitable[Item]) -> Changed:
        """What *attempt* (complete, fail, release) makes of the item, logged as *kind*."""
        item = await attempt
        await self._history.tell(kind, item, caller)
        return changed(item)

    async def complete(self, caller: Caller, item: str, token: str, result: Mapping[str, Any]) -> Changed:
        """End an item as done. Raises Conflict for the token of an older claim."""
        return await self.end_attempt("queue.complete", caller, self._items.complete(item, token, result))

    async def fail(self, caller: Caller, item: str, token: str, error: str, retry_in_seconds: float | None) -> Changed:
        """Give an item back for another attempt, or end it dead. Raises Conflict for the token of an older claim."""
        return await self.end_attempt("queue.fail", caller, self._items.fail(item, token, error, retry_in_seconds))

    async def release(self, caller: Caller, item: str, token: str, hold: str | None) -> Changed:
        """Give an item back, uncounted. Raises Conflict for the token of an older claim."""
        return await self.end_attempt("queue.release", caller, self._items.release(item, token, hold))

    async def drain(self, caller: Caller, queue: str, tell: Callable[[int], Awaitable[None]]) -> Drained:
        """Cancel everything in *queue* that nobody works on."""
        reason, total = "the queue was drained", 0
        while batch := await self._items.drain(queue, reason, DRAINED_AT_ONCE):
            total += len(batch)
            await self._history.tell_cancelled(batch, caller, reason)
            await tell(total)
        leased = (await self._items.counts(queue)).get("leased", 0)
        return Drained(queue=queue, cancelled=total, leased=leased)

    # What the server base asks

    async def overview(self, caller: Caller, queue: str) -> dict[str, Any]:
        """A queue's numbers and its newest items."""
        counts = await self._items.counts(queue, _scope(caller))
        page = await self.inspect(caller, queue, None, MAX_LIMIT, None)
        if not counts:
            raise NotFound(f"there is nothing in the queue {queue!r}", hint="queue_inspect shows what there is")
        return {"queue": queue, "counts": dict(counts), **page.model_dump(mode="json")}

    async def counts(self, agent: str | None) -> dict[str, int]:
        counts = await self._items.counts(creator=agent)
        return {str(state): number for state, number in counts.items()}

    async def doctor(self, agent: str | None) -> list[DoctorFinding]:
        found = [_broken(item) for item in await self._items.problems()]
        dead, _ = await self._items.list(state="dead", creator=agent, limit=MAX_LIMIT)
        await self._history.catch_up()
        found += [_dead(item) for item in dead]
        return found or [
            DoctorFinding(status="pass", check="queue_items", message="every item can be read, none is dead")
        ]

    def uris_of(self, path: str) -> list[str]:
        parts = path.split("/")
        if len(parts) != 5 or not path.startswith(f"{ROOT}/") or not path.endswith(".json"):
            return []
        return [f"queue://{parts[2]}", f"queue://item/{parts[4].removesuffix('.json')}"]


def _scope(caller: Caller) -> str | None:
    """Whose items the caller sees; None for all. What a run's model asks for comes under its token: as its agent."""
    return None if caller.role is Role.OPERATOR else need_agent(caller)


def _sees(caller: Caller, item: Item) -> bool:
    scope = _scope(caller)
    return scope is None or item.creator == scope


def labels(given: Labels | None) -> dict[str, Any]:
    """Needs or a profile as a mapping; a list names what must be there."""
    if isinstance(given, Mapping):
        return dict(given)
    return dict.fromkeys(given or (), True)


def moment(text: str | None, name: str) -> datetime | None:
    """*text* as a time. Raises InvalidArgument."""
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as exc:
        raise InvalidArgument(f"{name} is not a time: {text[:40]!a}", hint="write 2026-05-06T11:32:00Z") from exc


def _veiled(hold: Hold, hidden: str | None) -> Hold:
    return Hold(hold.kind, hidden) if hidden is not None and hold.kind == "conflict_key" else hold


def _broken(item: Item) -> DoctorFinding:
    path = f"{ROOT}/{item.queue}/{item.state}/{item.id}.json"
    said = (item.problem or "").removeprefix(path)
    line, _, message = said.removeprefix(" line ").partition(" is not an item: ")
    return DoctorFinding(
        status="fail",
        check="queue_items",
        message=f"not an item: {message or said}",
        file=path,
        line=int(line) if line.isdigit() else 1,
        fix="mend or remove the file; until then nobody gets the item",
    )


def _dead(item: Item) -> DoctorFinding:
    return DoctorFinding(
        status="warn",
        check="queue_dead",
        message=f"{item.id}: {item.reason}",
        file=f"{ROOT}/{item.queue}/{item.state}/{item.id}.json",
        fix=f'mend the cause, then: mcp-host call queue_retry \'{{"item": "{item.id}"}}\' --role operator',
    )
