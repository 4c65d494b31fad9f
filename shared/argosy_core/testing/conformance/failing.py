"""The promises of a store below which calls fail, the first, the second and so on. The opener gives a store."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

import anyio

from argosy_core.errors import ArgosyError
from argosy_core.storage.base import Store
from argosy_core.testing.conformance import Opener
from argosy_core.testing.conformance.promises import BOUND_SECONDS, promise
from argosy_core.testing.conformance.steps import CHAIN_STEPS, DOCUMENT_STEPS, ITEM_STEPS, LEASE_STEPS, Step

MOST_CALLS = 400


class Faults(Protocol):
    """What a store's author puts between the store and the lowest thing that it stands on: a disk, a driver, a socket.

    A store may well hide a fault by trying again; what it must not do is tell what is not so.
    """

    stride: int
    """Of so many calls one fails: 1 is the thorough proof."""

    def arm(self, nth: int) -> None:
        """Let the *nth* call from now on fail, counted from 1, and none after it."""
        ...

    def disarm(self) -> bool:
        """Fail no more; whether a call did since `arm`."""
        ...


class FaultyOpener(Opener[Store], Protocol):
    """An opener of stores whose lowest layer can be made to fail."""

    @property
    def faults(self) -> Faults: ...


Open = FaultyOpener
Check = Callable[[Open], Coroutine[Any, Any, None]]


async def _fail_everywhere(open_store: Open, steps: Sequence[Step]) -> None:
    for number, step in enumerate(steps):
        async with open_store() as store:
            for nth in range(1, MOST_CALLS, open_store.faults.stride):
                if not await _fail_once(store, open_store.faults, step, f"s{number}x{nth}", nth):
                    promise(nth > 1, "a step makes at least one call that can fail")
                    break
            else:
                promise(False, f"a step comes to its end within {MOST_CALLS} calls")


async def _fail_once(store: Store, faults: Faults, step: Step, name: str, nth: int) -> bool:
    """Whether a call failed."""
    with anyio.fail_after(BOUND_SECONDS):
        given = await step.prepare(store, name)
        is_told = False
        faults.arm(nth)
        try:
            is_told = await step.take(store, name, given) is not False
        except ArgosyError as error:
            promise(error.hint, "an error says what to do", error)
        finally:
            was_hit = faults.disarm()
        promise(was_hit or is_told, "a step fails only where a call does")
        await step.holds(store, name, given, is_told)
    return was_hit


async def check_a_failing_change_of_a_document_is_whole_or_absent(open_store: Open) -> None:
    """Whichever call fails, a write or removal has happened or has not, and the next one works."""
    await _fail_everywhere(open_store, DOCUMENT_STEPS)


async def check_a_failing_append_leaves_a_whole_chain(open_store: Open) -> None:
    """Whichever call fails, an append is in the chain once or not at all, and the chain goes on without a gap."""
    await _fail_everywhere(open_store, CHAIN_STEPS)


async def check_a_failing_call_leaves_no_lease_that_nobody_can_end(open_store: Open) -> None:
    """Whichever call fails, a lease is held by its holder or free, and generations rise."""
    await _fail_everywhere(open_store, LEASE_STEPS)


async def check_a_failing_call_leaves_each_item_once(open_store: Open) -> None:
    """Whichever call fails, an item is in one state, and it is worked off once."""
    await _fail_everywhere(open_store, ITEM_STEPS)


LEASE_CHECKS: tuple[Check, ...] = (check_a_failing_call_leaves_no_lease_that_nobody_can_end,)
CHECKS: tuple[Check, ...] = (
    check_a_failing_change_of_a_document_is_whole_or_absent,
    check_a_failing_append_leaves_a_whole_chain,
    *LEASE_CHECKS,
    check_a_failing_call_leaves_each_item_once,
)
