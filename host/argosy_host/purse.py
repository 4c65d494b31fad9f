"""A run's grant while it is used up: by the run itself, and by the runs below it, whose share is cut from it.

The purses of one process lie beside its store, so that a run finds that of the run which started it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from argosy_core.clock import Clock
from argosy_core.errors import BudgetExhausted
from argosy_core.policy.grant_form import grant_as_json
from argosy_core.policy.grants import ROOT, Account, Grant, Limits, Spend, meet
from argosy_core.storage.base import Store

SHARED_NAME = "host.purses"


class Purse:
    """What one run was given and what is left of it. All of it is arithmetic between two awaits: nobody sees a half.

    What a run uses is used of every purse above it too, so that a tree of runs never uses more than its root was given,
    whatever the number of runs in it that go on at a time.
    """

    def __init__(self, grant: Grant, above: Purse | None = None) -> None:
        self.grant = grant
        self._above = above
        self._used = Spend()  # ended, or held for what goes on
        self._below: set[str] = set()
        self._started = 0

    @property
    def left(self) -> Limits:
        """What may still be used, by this purse alone."""
        return Account(self.grant, self._used).left

    def hold(self, wanted: Spend) -> None:
        """Set *wanted* aside, here and above. Raises BudgetExhausted where it is not left; then nothing is."""
        chain = list(self._chain())
        for purse in chain:
            Account(purse.grant, purse._used).spend(wanted)
        for purse in chain:
            purse._used += wanted

    def settle(self, held: Spend, used: Spend) -> None:
        """Count *used* instead of *held*, even where that is more than was left."""
        for purse in self._chain():
            purse._used = Spend(
                max(0, purse._used.usd - held.usd + used.usd),
                max(0, purse._used.tokens - held.tokens + used.tokens),
                max(0.0, purse._used.active_s - held.active_s + used.active_s),
                max(0, purse._used.actions - held.actions + used.actions),
            )

    def below(self, run: str) -> Purse:
        """The purse of *run*, which starts below this one: what is left here, one generation less deep, and no more
        than anybody has by default. Raises BudgetExhausted."""
        limits = self.grant.limits
        if limits.fanout is not None and self._started >= limits.fanout:
            raise BudgetExhausted(f"this run may start {limits.fanout} runs", hint="do it in this run")
        if limits.concurrent is not None and len(self._below) >= limits.concurrent:
            raise BudgetExhausted(f"{limits.concurrent} runs go on below this one", hint="wait for one to end")
        _, given = Account(self.grant, self._used).lend(run, ROOT)
        self._below.add(run)
        self._started += 1
        return Purse(given, self)

    def ended(self, run: str, active_seconds: float) -> None:
        """*run* below this one is over; its time at work counts here."""
        if run in self._below:
            self._below.remove(run)
            self.settle(Spend(), Spend(active_s=active_seconds))

    def _chain(self) -> Iterator[Purse]:
        purse: Purse | None = self
        while purse is not None:
            yield purse
            purse = purse._above


def purses_of(store: Store) -> dict[str, Purse]:
    """The purses of the runs of this process over *store*, by the runs' ids."""
    return store.shared(SHARED_NAME, dict[str, Purse], lambda _: None)


def root_grant(tokens: int, active_seconds: float) -> Grant:
    """What a run has that a person starts, who may say how many tokens and how long."""
    return replace(
        ROOT, limits=replace(ROOT.limits, tokens_run=tokens, active_s=active_seconds, agent_s=active_seconds)
    )


def client_grant() -> Grant:
    """What a client's run has: the root's bounds, but for those that add up. A client may stay for days, and each run
    that it starts is the root of a tree of its own."""
    return replace(ROOT, limits=replace(ROOT.limits, tokens_run=None, active_s=None, agent_s=None))


def inherited(given: Grant) -> Grant:
    """What a run has that somebody's work started: no more than *given*, and no more than anybody has by default."""
    return meet(ROOT, given)


def as_reference(grant: Grant) -> str:
    """*grant* as a run token carries it."""
    return json.dumps(grant_as_json(grant), ensure_ascii=False, separators=(",", ":"))


class Breaker:
    """An agent whose runs failed so often in a row rests for a while."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed: dict[str, tuple[int, float]] = {}

    def check(self, agent: str, limits: Limits) -> None:
        """Raises BudgetExhausted while *agent* rests."""
        count, at = self._failed.get(agent, (0, 0.0))
        if limits.breaker_failures is None or limits.breaker_s is None or count < limits.breaker_failures:
            return
        left = at + limits.breaker_s - self._clock.monotonic()
        if left > 0:
            raise BudgetExhausted(
                f"{agent} failed {count} times in a row and rests for {left:.0f} seconds",
                hint="look why: mcp-host runs", retry_in_s=left,
            )  # fmt: skip

    def note(self, agent: str, failed: bool) -> None:
        """A run of *agent* ended."""
        if failed:
            self._failed[agent] = self._failed.get(agent, (0, 0.0))[0] + 1, self._clock.monotonic()
        else:
            self._failed.pop(agent, None)


def breaker_of(store: Store, clock: Clock) -> Breaker:
    """The breaker of the runs of this process over *store*."""
    return store.shared("host.breaker", lambda: Breaker(clock), lambda _: None)
