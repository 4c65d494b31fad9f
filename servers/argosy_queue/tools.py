"""The queue's tools: validate, call, shape."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import Context
from pydantic import Field

from argosy_core.serving.identity import WhoCalls
from argosy_core.serving.results import DEFAULT_LIMIT
from argosy_core.serving.toolbox import ToolBox
from argosy_core.storage.base import Item, ItemState, NewItem
from argosy_core.types import ActionClass, Role
from argosy_queue.models import Changed, Claimed, Drained, Enqueued, Explained, ItemPage, Waited
from argosy_queue.queue import Labels, Queue, labels, moment

ItemId = Annotated[str, Field(description="Its id")]
QueueName = Annotated[str, Field(description="Name of the queue")]
Token = Annotated[str, Field(description="The claim's token")]
LeaseSeconds = Annotated[float, Field(description="How long without renewal, up to 86400")]


def build_tools(queue: Queue) -> ToolBox:
    """The tools over *queue*."""
    box = ToolBox()
    _add_tools_for_agents(box, queue)
    _add_tools_for_owners(box, queue)
    _add_tools_for_workers(box, queue)
    return box


def _add_tools_for_agents(box: ToolBox, work: Queue) -> None:
    @box.tool("Enqueue work", ActionClass.REVERSIBLE_WRITE, default=True)
    async def queue_enqueue(
        caller: WhoCalls,
        queue: QueueName,
        payload: Annotated[dict[str, Any], Field(description="The work, up to 256 KiB")],
        key: Annotated[str | None, Field(description="Repeat-safe: enqueued once")] = None,
        priority: Annotated[int, Field(description="Higher is sooner")] = 0,
        not_before: Annotated[str | None, Field(description="Time")] = None,
        expires_at: Annotated[str | None, Field(description="Not started by then: expired")] = None,
        needs: Annotated[Labels | None, Field(description="What its worker must have")] = None,
        conflict_keys: Annotated[list[str] | None, Field(description="Never beside another with one")] = None,
        max_attempts: int = 3,
    ) -> Enqueued:
        """Put work into a queue for a worker to do later, once. For work to do now, do it."""
        new = NewItem(
            queue=queue,
            payload=payload,
            key=key,
            priority=priority,
            not_before=moment(not_before, "not_before"),
            expires_at=moment(expires_at, "expires_at"),
            needs=labels(needs),
            conflict_keys=conflict_keys or (),
            max_attempts=max_attempts,
            creator=caller.agent,
            grant=caller.grant,
            trigger=caller.run,
        )
        return await work.enqueue(caller, new)

    @box.tool("What is in the queues", default=True)
    async def queue_inspect(
        caller: WhoCalls,
        queue: Annotated[str | None, Field(description="All when left out")] = None,
        state: ItemState | None = None,
        limit: Annotated[int, Field(description="Up to 500")] = DEFAULT_LIMIT,
        cursor: Annotated[str | None, Field(description="next_cursor of the page before")] = None,
    ) -> ItemPage:
        """Queued work, newest first: its state, attempts, result or why it failed."""
        return await work.inspect(caller, queue, state, limit, cursor)

    @box.tool("Cancel queued work", ActionClass.REVERSIBLE_WRITE, default=True, idempotent=True)
    async def queue_cancel(caller: WhoCalls, item: ItemId) -> Changed:
        """Cancel an item that nobody works on yet."""
        return await work.cancel(caller, item)


def _add_tools_for_owners(box: ToolBox, work: Queue) -> None:
    @box.tool("Change a priority", ActionClass.REVERSIBLE_WRITE, idempotent=True)
    async def queue_prioritize(
        caller: WhoCalls, item: ItemId, priority: Annotated[int, Field(description="Higher is sooner")]
    ) -> Changed:
        """Move a waiting item forward or back in its queue."""
        return await work.prioritize(caller, item, priority)

    @box.tool("Why an item waits")
    async def queue_explain(caller: WhoCalls, item: ItemId) -> Explained:
        """One item and every reason why it is not running: time, holds, conflict keys, needs, what comes before it."""
        return await work.explain(caller, item)

    @box.tool("Retry an item", ActionClass.REVERSIBLE_WRITE)
    async def queue_retry(caller: WhoCalls, item: ItemId) -> Changed:
        """Give a dead item all its attempts again; a held or failed one is ready at once."""
        return await work.retry(caller, item)

    @box.tool("Wait for an item")
    async def queue_wait(
        caller: WhoCalls,
        ctx: Context[Any, Any],
        item: ItemId,
        timeout_s: Annotated[float, Field(description="Up to 60 seconds")] = 30,
    ) -> Waited:
        """Wait until an item has ended and return it; finished is false when the time was up first."""

        async def tell(passed: float, total: float, found: Item) -> None:
            await ctx.report_progress(passed, total, f"{found.id} is {found.state}")

        return await work.wait(caller, item, timeout_s, tell)

    @box.tool("Drain a queue", ActionClass.REVERSIBLE_WRITE, role=Role.OPERATOR, destructive=True)
    async def queue_drain(caller: WhoCalls, ctx: Context[Any, Any], queue: QueueName) -> Drained:
        """Cancel everything in a queue that nobody works on; what is being worked on ends by itself."""

        async def tell(cancelled: int) -> None:
            await ctx.report_progress(cancelled, None, f"{cancelled} cancelled")

        return await work.drain(caller, queue, tell)


def _add_tools_for_workers(box: ToolBox, work: Queue) -> None:
    @box.tool("Claim work", ActionClass.REVERSIBLE_WRITE, role=Role.HOST)
    async def queue_claim(
        caller: WhoCalls,
        queue: QueueName,
        worker: Annotated[str, Field(description="Who will work on it")],
        lease_s: LeaseSeconds,
        count: Annotated[int, Field(description="At most this many, up to 100")] = 1,
        profile: Annotated[Labels | None, Field(description="What the worker has, for items with needs")] = None,
    ) -> Claimed:
        """Take the next items, highest priority first, then oldest. Renew each before its lease ends."""
        return await work.claim(caller, queue, worker, lease_s, count, profile)

    @box.tool("Renew a claim", ActionClass.REVERSIBLE_WRITE, role=Role.HOST)
    async def queue_renew(caller: WhoCalls, item: ItemId, token: Token, lease_s: LeaseSeconds = 60) -> Changed:
        """Go on holding a claimed item."""
        return await work.renew(item, token, lease_s)

    @box.tool("Complete an item", ActionClass.REVERSIBLE_WRITE, role=Role.HOST, idempotent=True)
    async def queue_complete(
        caller: WhoCalls,
        item: ItemId,
        token: Token,
        result: Annotated[dict[str, Any], Field(description="What came of it, up to 256 KiB")],
    ) -> Changed:
        """End a claimed item as done."""
        return await work.complete(caller, item, token, result)

    @box.tool("Fail an attempt", ActionClass.REVERSIBLE_WRITE, role=Role.HOST)
    async def queue_fail(
        caller: WhoCalls,
        item: ItemId,
        token: Token,
        error: Annotated[str, Field(description="What went wrong")],
        retry_in_s: Annotated[float | None, Field(description="Longer after each attempt when left out")] = None,
    ) -> Changed:
        """End an attempt as failed: the item runs again later, or is dead after its last attempt."""
        return await work.fail(caller, item, token, error, retry_in_s)

    @box.tool("Release an item", ActionClass.REVERSIBLE_WRITE, role=Role.HOST)
    async def queue_release(
        caller: WhoCalls,
        item: ItemId,
        token: Token,
        hold: Annotated[str | None, Field(description="Why it must wait until queue_retry")] = None,
    ) -> Changed:
        """Give a claimed item back without counting the attempt."""
        return await work.release(caller, item, token, hold)
