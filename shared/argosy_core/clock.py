"""Time as a parameter. Nothing outside this module reads a clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

import anyio


class Clock(Protocol):
    """Where a component gets its time from."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...

    def pause(self, seconds: float) -> None:
        """Block this thread for *seconds*; only for work that is off the event loop."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait *seconds* without blocking the event loop."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


def rfc3339(moment: datetime) -> str:
    """*moment* as RFC 3339 UTC with milliseconds: ``2026-05-06T11:32:00.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """An RFC 3339 time or a plain date (its first instant, UTC) as an aware datetime in UTC.

    Raises ValueError when *text* is neither.
    """
    moment = datetime.fromisoformat(text.strip())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
