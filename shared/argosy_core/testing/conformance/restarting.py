"""The promises of a store that is opened again between the steps. The opener gives a store."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any

from argosy_core.storage.base import Store
from argosy_core.testing.conformance import STREAM, Opener
from argosy_core.testing.conformance.bell import listening
from argosy_core.testing.conformance.steps import CHAIN_STEPS, DOCUMENT_STEPS, ITEM_STEPS, LEASE_STEPS, Step

Open = Opener[Store]
Check = Callable[[Open], Coroutine[Any, Any, None]]


async def _restart_between(open_store: Open, steps: Sequence[Step]) -> None:
    """Prepare, take and look, each on a handle of its own; those before it are closed, or abandoned as they are."""
    for is_abandoned in (False, True):
        for number, step in enumerate(steps):
            name = f"s{number}{'left' if is_abandoned else 'closed'}"
            async with AsyncExitStack() as abandoned:
                closed = None if is_abandoned else abandoned
                given = await step.prepare(await _opened(open_store, abandoned, closed), name)
                await step.take(await _opened(open_store, abandoned, closed), name, given)
                await step.holds(await _opened(open_store, abandoned, closed), name, given, True)


async def _opened(open_store: Open, stack: AsyncExitStack, closed: AsyncExitStack | None) -> Store:
    if closed is not None:
        await closed.aclose()
    return await stack.enter_async_context(open_store())


async def check_documents_outlive_a_restart(open_store: Open) -> None:
    """A document is changed and read alike by a handle that is opened after another was closed or abandoned."""
    await _restart_between(open_store, DOCUMENT_STEPS)


async def check_a_chain_goes_on_after_a_restart(open_store: Open) -> None:
    """A chain goes on with its numbers and keys on a handle that is opened after another was closed or abandoned."""
    await _restart_between(open_store, CHAIN_STEPS)


async def check_leases_outlive_a_restart(open_store: Open) -> None:
    """A lease is renewed and given up on a handle that is opened after its own was closed or abandoned."""
    await _restart_between(open_store, LEASE_STEPS)


async def check_items_outlive_a_restart(open_store: Open) -> None:
    """An item is claimed, completed and failed on a handle that is opened after its own was closed or abandoned."""
    await _restart_between(open_store, ITEM_STEPS)


async def check_a_bell_is_heard_after_a_restart(open_store: Open) -> None:
    """Who begins to watch again, on a new handle, hears what another one changes."""
    for number in range(2):
        async with open_store() as one, open_store() as two:
            with listening(one.bell) as ear:
                one.start()
                try:
                    await ear.until("", "the beginning of watching")
                    path = f"{STREAM}/again{number}.md"
                    await two.documents.write(path, b"x")
                    two.bell.ring(path)
                    await ear.until(path, "a change after a restart")
                finally:
                    await one.stop()


LEASE_CHECKS: tuple[Check, ...] = (check_leases_outlive_a_restart,)
BELL_CHECKS: tuple[Check, ...] = (check_a_bell_is_heard_after_a_restart,)
CHECKS: tuple[Check, ...] = (
    check_documents_outlive_a_restart,
    check_a_chain_goes_on_after_a_restart,
    *LEASE_CHECKS,
    check_items_outlive_a_restart,
    *BELL_CHECKS,
)
