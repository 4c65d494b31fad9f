"""Cyclic garbage is looked for seldom while a process starts, and what the start made is never looked through again.

The looking takes a tenth of importing the SDK and more of making the servers, and nearly all that is made stays. It
never stops altogether, so whoever forgets to `settle` has a larger process and not one that grows.
"""

from __future__ import annotations

import gc

STARTING = 100_000  # containers made and not freed between two looks
_usual: list[tuple[int, int, int]] = []  # while eased


def ease() -> None:
    """The process begins to start; called once, by whoever owns the process."""
    _usual.append(gc.get_threshold())
    gc.set_threshold(STARTING, *_usual[0][1:])


def settle() -> None:
    """It has started: look as often as usual, at what comes from now on. Does nothing where nothing was eased."""
    if _usual:
        gc.freeze()
        gc.set_threshold(*_usual.pop())
        _usual.clear()
