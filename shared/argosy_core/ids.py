"""Randomness as a parameter, and the shapes of the ids made from it."""

from __future__ import annotations

import secrets
from typing import Protocol

from argosy_core.clock import Clock


class Ids(Protocol):
    """Where a component gets its random bytes from."""

    def random(self, count: int) -> bytes:
        """*count* unpredictable bytes."""
        ...


class SystemIds:
    """Bytes from the operating system."""

    def random(self, count: int) -> bytes:
        return secrets.token_bytes(count)


def new_run_id(clock: Clock, ids: Ids) -> str:
    """``run-YYYYMMDD-HHMMSS-ffffff-8hex``, the older system's form; the day in it lets a reader find its log file."""
    return f"run-{clock.now():%Y%m%d-%H%M%S-%f}-{ids.random(4).hex()}"


def new_id(prefix: str, clock: Clock, ids: Ids) -> str:
    """``<prefix>_<YYYYMMDDTHHMMSS>_<8hex>``: sorts by time, legal as a file name."""
    return f"{prefix}_{clock.now():%Y%m%dT%H%M%S}_{ids.random(4).hex()}"
