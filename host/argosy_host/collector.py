"""How often cyclic garbage is looked for: seldom while a process starts, when nearly all that is made stays.

The looking takes a tenth of importing the SDK and more of making the servers. It never stops altogether, so whoever
forgets to `settle` has a larger process and not one that grows.
"""

from __future__ import annotations

import gc

STARTING = 100_000  # containers made and not freed between two looks
_usual = gc.get_threshold()


def ease() -> None:
    """From now on seldom."""
    gc.set_threshold(STARTING, *_usual[1:])


def settle() -> None:
    """As often as usual again. Idempotent."""
    gc.set_threshold(*_usual)
