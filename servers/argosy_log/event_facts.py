"""What the index keeps of an event beside its line: what it is grouped and filtered by, and its figures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b

from argosy_core.storage.day_chain import FLEET
from argosy_log.events import NAMING, RUN_END, LogEvent

NANODOLLARS = 10**9
MICROSECONDS = 1000  # of a millisecond
HOUR_US = 3600 * 10**6
DAY_US = 24 * HOUR_US
COMBO = ("stream", "kind", "agent", "model", "tool", "status", "server", "named")
MAX_FACT_CHARS = 200
# Beyond these a figure is taken for none: sums of a hundred thousand of them still fit into 64 bits.
_MAX_COST_USD = 1e5
_MAX_TOKENS = 1e12
_MAX_LATENCY_MS = 1e10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OWN_RUN = re.compile(r"run-(20\d{6})-(\d{6})-")
_HASH_BITS = 17


@dataclass(frozen=True, slots=True)
class Facts:
    """*combo* as the names in `COMBO`, "" for what the event does not say; *at* microseconds since 1970 UTC.

    Cost in nanodollars, latency in microseconds, all as whole numbers, so that sums are exact.
    """

    combo: tuple[str, ...]
    run: int | None
    parent: int | None
    at: int | None
    cost: int | None
    tokens_in: int | None
    tokens_out: int | None
    latency: int | None


def facts_of(event: LogEvent) -> Facts:
    """The facts of *event*. What a run's end sums up is in its steps already, so its cost and tokens do not count."""
    is_sum = event.kind == RUN_END and event.writer is not None
    return Facts(
        _combo(event),
        run_key(event.run),
        run_key(event.parent),
        _since_1970(event.at),
        None if is_sum else _scaled(event.number("cost_usd"), NANODOLLARS, _MAX_COST_USD),
        None if is_sum else _scaled(event.number("input_tokens"), 1, _MAX_TOKENS),
        None if is_sum else _scaled(event.number("output_tokens"), 1, _MAX_TOKENS),
        _scaled(event.number("latency_ms"), MICROSECONDS, _MAX_LATENCY_MS),
    )


def run_key(run: str | None) -> int | None:
    """A number for a run's id, nearly always its own; ids that tell their time have numbers that grow with it."""
    if run is None:
        return None
    digest = int.from_bytes(blake2b(run.encode("utf-8", "replace"), digest_size=8).digest(), "big")
    own = _OWN_RUN.match(run)
    if own is None:
        return -(digest >> 1) - 1
    return int(own[1] + own[2]) << _HASH_BITS | digest >> 64 - _HASH_BITS


def _since_1970(moment: datetime | None) -> int | None:
    found = microseconds(moment) if moment else -1
    return found if found >= 0 else None


def microseconds(moment: datetime) -> int:
    """*moment* as microseconds since 1970, exactly."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 10**6 + since.microseconds


def _combo(event: LogEvent) -> tuple[str, ...]:
    own = event.stream if event.stream != FLEET else ""
    server = event.text("server") or (event.writer if event.writer not in (None, "host", "operator") else None)
    named = ""
    if event.stream == FLEET:
        names = {name for field in NAMING if (name := event.text(field)) and "\n" not in name}
        named = "\n".join(["", *sorted(names), ""])
    texts = (
        event.stream,
        event.kind,
        event.text("agent_name") or event.text("agent") or own,
        event.text("model") or "",
        event.text("tool_name") or "",
        event.text("status") or "",
        server or "",
    )
    return (*(text[:MAX_FACT_CHARS] for text in texts), named)


def _scaled(value: float | None, scale: int, most: float) -> int | None:
    return round(value * scale) if value is not None and abs(value) <= most else None
