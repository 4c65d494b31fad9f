"""Time and randomness that a test decides."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import anyio.lowlevel


class FakeClock:
    """A clock that moves only when told to, or when somebody waits on it."""

    def __init__(self, start: datetime = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._elapsed = 0.0

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self._now += timedelta(seconds=seconds)
        self._elapsed += seconds

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed

    def pause(self, seconds: float) -> None:
        self.advance(seconds)

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await anyio.lowlevel.checkpoint()


class SeededIds:
    """Random bytes that are the same for the same seed."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatability is the point

    def random(self, count: int) -> bytes:
        return self._random.randbytes(count)
