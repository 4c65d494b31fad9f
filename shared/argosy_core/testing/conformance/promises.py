"""How a check says that a promise is broken."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import anyio

from argosy_core.errors import ArgosyError

MAX_SHOWN = 300
BOUND_SECONDS = 30.0  # no wait of a check is longer


class Broken(AssertionError):
    """A promise that was not kept."""


def promise(kept: object, what: str, came: object = None) -> None:
    """Raises Broken, saying *what* was promised and what came, unless *kept*."""
    if not kept:
        raise Broken(f"promised: {what}; came: {_shown(came)}")


def same(came: object, promised: object, what: str) -> None:
    """Raises Broken unless *came* equals *promised*."""
    if came != promised:
        raise Broken(f"promised: {what}: {_shown(promised)}; came: {_shown(came)}")


@contextmanager
def refused(*kinds: type[ArgosyError], what: str) -> Generator[list[ArgosyError]]:
    """The block must raise one of *kinds*; the error is put into the list that it is given."""
    caught: list[ArgosyError] = []
    names = " or ".join(kind.__name__ for kind in kinds)
    try:
        yield caught
    except kinds as error:
        caught.append(error)
    except Exception as error:
        raise Broken(f"promised: {what} raises {names}; came: {type(error).__name__}: {_shown(error)}") from error
    else:
        raise Broken(f"promised: {what} raises {names}; came: no error")


async def at_once(calls: Sequence[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """Run *calls* side by side, within the bound."""
    with anyio.fail_after(BOUND_SECONDS):
        async with anyio.create_task_group() as tasks:
            for call in calls:
                tasks.start_soon(call)


def _shown(value: object) -> str:
    text = str(value) if isinstance(value, BaseException) else repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}… ({len(text)} characters)"
