"""The promises of a store to callers that are cancelled, at every await of every step. The opener gives a store."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Sequence
from types import coroutine
from typing import Any

import anyio
from anyio import CancelScope

from argosy_core.storage.base import Store
from argosy_core.testing.conformance import Opener
from argosy_core.testing.conformance.promises import BOUND_SECONDS, promise
from argosy_core.testing.conformance.steps import CHAIN_STEPS, DOCUMENT_STEPS, ITEM_STEPS, LEASE_STEPS, Step

Open = Opener[Store]
Check = Callable[[Open], Coroutine[Any, Any, None]]
MOST_AWAITS = 1000
MORE_ROUNDS = 10  # after the last await: what leaks a little each time runs out of it


class CancelledAt:
    """Runs a coroutine and cancels it while it waits for the *nth* time, counted from 1."""

    def __init__(self, nth: int) -> None:
        self._nth = nth
        self.awaits = 0
        self.is_finished = False

    @property
    def was_hit(self) -> bool:
        return self.awaits >= self._nth

    async def run(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run *work*; `is_finished` says whether it came to its end all the same."""
        with CancelScope() as scope:
            await self._counted(work, scope)
            self.is_finished = True

    @coroutine
    def _counted(self, work: Coroutine[Any, Any, Any], scope: CancelScope) -> Generator[Any, Any, None]:
        send = _sender(work)
        while True:
            try:
                waits_for = send()
            except StopIteration:
                return
            self.awaits += 1
            if self.awaits == self._nth:
                scope.cancel()
            try:
                yield waits_for
            except BaseException as error:
                send = _thrower(work, error)
            else:
                send = _sender(work)


def _sender(work: Coroutine[Any, Any, Any]) -> Callable[[], Any]:
    return lambda: work.send(None)


def _thrower(work: Coroutine[Any, Any, Any], error: BaseException) -> Callable[[], Any]:
    return lambda: work.throw(error)


async def _cancel_everywhere(open_store: Open, steps: Sequence[Step]) -> None:
    async with open_store() as store:
        for number, step in enumerate(steps):
            nth, more = 0, MORE_ROUNDS
            while more:
                nth += 1
                promise(nth < MOST_AWAITS, "a step comes to its end")
                cancelled = await _cancel_once(store, step, f"s{number}x{nth}", nth if more == MORE_ROUNDS else 1)
                more -= more < MORE_ROUNDS or not cancelled.was_hit


async def _cancel_once(store: Store, step: Step, name: str, nth: int) -> CancelledAt:
    with anyio.fail_after(BOUND_SECONDS):
        given = await step.prepare(store, name)
        cancelled = CancelledAt(nth)
        await cancelled.run(step.take(store, name, given))
        await step.holds(store, name, given, cancelled.is_finished)
    return cancelled


async def check_a_cancelled_change_of_a_document_is_whole_or_absent(open_store: Open) -> None:
    """Cancelled at any await, a write or removal has happened or has not, and the next call works."""
    await _cancel_everywhere(open_store, DOCUMENT_STEPS)


async def check_a_cancelled_append_leaves_a_whole_chain(open_store: Open) -> None:
    """Cancelled at any await, an append is in the chain once or not at all, and the chain goes on without a gap."""
    await _cancel_everywhere(open_store, CHAIN_STEPS)


async def check_a_cancelled_call_leaves_no_lease_that_nobody_can_end(open_store: Open) -> None:
    """Cancelled at any await, taking, renewing or giving up a lease leaves it held by its holder or free."""
    await _cancel_everywhere(open_store, LEASE_STEPS)


async def check_a_cancelled_call_leaves_each_item_once(open_store: Open) -> None:
    """Cancelled at any await, a change of an item leaves it in one state, and it is worked off once."""
    await _cancel_everywhere(open_store, ITEM_STEPS)


LEASE_CHECKS: tuple[Check, ...] = (check_a_cancelled_call_leaves_no_lease_that_nobody_can_end,)
CHECKS: tuple[Check, ...] = (
    check_a_cancelled_change_of_a_document_is_whole_or_absent,
    check_a_cancelled_append_leaves_a_whole_chain,
    *LEASE_CHECKS,
    check_a_cancelled_call_leaves_each_item_once,
)
