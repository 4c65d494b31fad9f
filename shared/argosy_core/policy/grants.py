"""How much a run may do: grants, and the one operation on them, their common part.

`meet` takes the minimum of two grants in every field. It is associative and commutative, a grant met with itself is
itself, and nothing it gives is more than either allows: whoever is handed less can never make more of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import reduce
from typing import Any

from argosy_core.errors import BudgetExhausted
from argosy_core.policy.patterns import Patterns, common, covers, host_inside, name_inside, path_inside
from argosy_core.types import ActionClass, Mode

_LONGER_IS_STRICTER = frozenset({"breaker_s"})


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers of a grant; None is no limit. Money is in billionths of a US dollar (see `policy.money`).

    *active_s* is the time a whole chain of runs may be at work, *agent_s* that of one run in it; waiting counts as
    neither. *depth* is how many generations of runs may come below this one, *fanout* how many runs it may start,
    *concurrent* how many of them at a time. After *breaker_failures* in a row an agent rests *breaker_s* seconds.
    """

    usd_run: int | None = None
    usd_day: int | None = None
    usd_month: int | None = None
    usd_total: int | None = None
    tokens_run: int | None = None
    active_s: float | None = None
    agent_s: float | None = None
    depth: int | None = None
    fanout: int | None = None
    concurrent: int | None = None
    actions: int | None = None
    breaker_failures: int | None = None
    breaker_s: float | None = None


LIMITS = tuple(f.name for f in fields(Limits))
MONEY = frozenset(name for name in LIMITS if name.startswith("usd_"))


@dataclass(frozen=True, slots=True)
class Grant:
    """What a run may do. None in *tools*, *paths*, *hosts* and *models* is everything, *denied* wins over *tools*."""

    tools: Patterns = None
    denied: frozenset[str] = frozenset()
    max_class: ActionClass = ActionClass.HIGH_RISK
    mode: Mode = Mode.FREE
    paths: Patterns = None
    hosts: Patterns = None
    models: Patterns = None
    limits: Limits = field(default_factory=Limits)
    until: datetime | None = None

    def allows_tool(self, name: str) -> bool:
        """Whether the tool *name* (its full name) may be called."""
        return covers(self.tools, name, name_inside) and not covers(self.denied, name, name_inside)

    def allows_path(self, path: str) -> bool:
        """Whether *path*, relative to the vault, lies in a folder of the grant."""
        return covers(self.paths, path, path_inside)

    def allows_host(self, host: str) -> bool:
        """Whether *host* may be reached."""
        return covers(self.hosts, host, host_inside)

    def allows_model(self, name: str) -> bool:
        """Whether the model *name* may be used."""
        return covers(self.models, name, name_inside)

    @property
    def bounds_reading(self) -> bool:
        """Whether it says anything that a call which only reads may go against."""
        return bool(self.denied) or any(found is not None for found in (self.tools, self.paths, self.hosts))

    def has_ended(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.until is not None and self.until <= now


UNLIMITED = Grant()
ROOT = Grant(
    limits=Limits(
        tokens_run=100_000,
        active_s=300.0,
        agent_s=60.0,
        depth=5,
        concurrent=20,
        breaker_failures=3,
        breaker_s=30.0,
    )
)
"""What a run has that nobody gave more or less: the root of every tree of runs."""


def meet(left: Grant, right: Grant) -> Grant:
    """What both grants allow."""
    return Grant(
        tools=common(left.tools, right.tools, name_inside),
        denied=left.denied | right.denied,
        max_class=min(left.max_class, right.max_class, key=lambda c: c.rank),
        mode=min(left.mode, right.mode, key=lambda m: m.rank),
        paths=common(left.paths, right.paths, path_inside),
        hosts=common(left.hosts, right.hosts, host_inside),
        models=common(left.models, right.models, name_inside),
        limits=meet_limits(left.limits, right.limits),
        until=min((t for t in (left.until, right.until) if t is not None), default=None),
    )


def effective(grants: Iterable[Grant]) -> Grant:
    """What all of *grants* allow: fleet policy, floor, contract, parent and mandate alike."""
    return reduce(meet, grants, UNLIMITED)


def meet_limits(left: Limits, right: Limits) -> Limits:
    """The stricter of each number."""
    found: dict[str, Any] = {name: _stricter(name, getattr(left, name), getattr(right, name)) for name in LIMITS}
    return Limits(**found)


def _stricter(name: str, left: float | None, right: float | None) -> float | None:
    known = [number for number in (left, right) if number is not None]
    if not known:
        return None
    return max(known) if name in _LONGER_IS_STRICTER else min(known)


def is_within(inner: Grant, outer: Grant) -> bool:
    """Whether *inner* allows nothing that *outer* does not."""
    return meet(inner, outer) == meet(inner, inner)


@dataclass(frozen=True, slots=True)
class Spend:
    """What a run used: money (billionths of a dollar), tokens, seconds at work, actions."""

    usd: int = 0
    tokens: int = 0
    active_s: float = 0.0
    actions: int = 0

    def __add__(self, other: Spend) -> Spend:
        return Spend(
            self.usd + other.usd,
            self.tokens + other.tokens,
            self.active_s + other.active_s,
            self.actions + other.actions,
        )


@dataclass(frozen=True, slots=True)
class Account:
    """A run's grant, what is used of it, and what is lent to runs below it that have not ended.

    What is lent is out of reach until it comes back, so that a tree of runs never uses more than its root was given.
    """

    grant: Grant
    spent: Spend = field(default_factory=Spend)
    lent: tuple[tuple[str, Spend], ...] = ()
    started: int = 0

    @property
    def left(self) -> Limits:
        """What may still be used or lent."""
        out = sum((lent for _, lent in self.lent), self.spent)
        limits = self.grant.limits
        return replace(
            limits,
            usd_run=_less(limits.usd_run, out.usd),
            tokens_run=_less(limits.tokens_run, out.tokens),
            active_s=_less_time(limits.active_s, out.active_s),
            actions=_less(limits.actions, out.actions),
        )

    def spend(self, more: Spend) -> Account:
        """The account after *more*. Raises BudgetExhausted for what is not left, with the *cap* and the sum that was
        *attempted*; then nothing is used."""
        left = self.left
        for name, wanted, limit in (
            ("usd_run", more.usd, left.usd_run),
            ("tokens_run", more.tokens, left.tokens_run),
            ("active_s", more.active_s, left.active_s),
            ("actions", more.actions, left.actions),
        ):
            if limit is not None and wanted > limit:
                cap = getattr(self.grant.limits, name)
                raise _exhausted(name, cap=cap, attempted=cap - limit + wanted)
        return replace(self, spent=self.spent + more)

    def lend(self, run: str, wanted: Grant) -> tuple[Account, Grant]:
        """Start *run* below this one: the account after it, and the run's grant.

        The grant is what *wanted* and this run's own have in common, one generation less deep. Raises BudgetExhausted
        when no generation, no further run or nothing of a limited sum is left.
        """
        left = self.left
        if left.depth is not None and left.depth < 1:
            raise _exhausted("depth")
        if left.fanout is not None and self.started >= left.fanout:
            raise _exhausted("fanout")
        if left.concurrent is not None and len(self.lent) >= left.concurrent:
            raise _exhausted("concurrent")
        below = replace(left, depth=None if left.depth is None else left.depth - 1)
        given = meet(replace(self.grant, limits=below), wanted)
        for name in ("usd_run", "tokens_run", "active_s", "actions"):
            if getattr(below, name) == 0:
                raise _exhausted(name)
        # What the run below may use without limit it can have without end: then nothing is set aside.
        limits = given.limits
        aside = Spend(limits.usd_run or 0, limits.tokens_run or 0, limits.active_s or 0.0, limits.actions or 0)
        return replace(self, lent=(*self.lent, (run, aside)), started=self.started + 1), given

    def take_back(self, run: str, used: Spend) -> Account:
        """The account after *run* ended and had used *used*; nothing happens when it is back already."""
        if all(name != run for name, _ in self.lent):
            return self
        rest = tuple((name, lent) for name, lent in self.lent if name != run)
        return replace(self, lent=rest, spent=self.spent + used)


def _less(limit: int | None, used: int) -> int | None:
    return None if limit is None else max(0, limit - used)


def _less_time(limit: float | None, used: float) -> float | None:
    return None if limit is None else max(0.0, limit - used)


def _exhausted(name: str, **detail: float) -> BudgetExhausted:
    hint = "ask for less, or have a person grant more"
    return BudgetExhausted(f"nothing is left of {name}", hint=hint, limit=name, **detail)
