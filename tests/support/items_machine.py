"""A queue as a model, and calls at random that must do to a store what they do to it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, multiple, rule

from argosy_core.errors import Conflict
from argosy_core.storage.base import Items, NewItem, Store
from argosy_core.storage.files.store import FileStore
from argosy_core.testing.fakes import FakeClock, SeededIds
from argosy_core.vault import Vault

WAITING = ("ready", "failed", "held")
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 3600.0


@dataclass
class Modelled:
    """One item of the model; times are seconds on the fake clock."""

    n: int
    priority: int
    max_attempts: int
    keys: tuple[str, ...]
    not_before: float
    expires: float
    state: str = "ready"
    attempt: int = 0
    token: str | None = None
    until: float = 0.0


@dataclass
class Model:
    """A queue in a dictionary."""

    items: dict[str, Modelled] = field(default_factory=dict[str, Modelled])

    def settle(self, now: float) -> None:
        for item in self.items.values():
            if item.state == "leased" and item.until <= now:
                item.state = "dead" if item.attempt >= item.max_attempts else "ready"
            if item.state in WAITING and item.expires <= now:
                item.state = "expired"

    def claim(self, now: float, count: int) -> list[str]:
        self.settle(now)
        due = [i for i in self.items.values() if i.state in ("ready", "failed") and i.not_before <= now]
        held = {key for i in self.items.values() if i.state == "leased" for key in i.keys}
        chosen: list[str] = []
        for item in sorted(due, key=lambda i: (-i.priority, i.n)):
            if len(chosen) < count and not held & set(item.keys):
                held |= set(item.keys)
                chosen.append(next(id for id, i in self.items.items() if i is item))
        return chosen


class Machine(RuleBasedStateMachine):
    """Two handles on one vault, one clock, and the model."""

    tokens = Bundle("tokens")
    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.clock = FakeClock()
        self.runner = asyncio.Runner()
        self.handles = [self.opened(seed) for seed in range(2)]
        self.model = Model()
        self.turn = 0

    def opened(self, seed: int) -> Store:
        """One more handle. The vault's own clock is the machine's: locks are waited for by it."""
        return FileStore(Vault(self.root), self.clock, SeededIds(seed))

    def teardown(self) -> None:
        for handle in self.handles:
            handle.close()
        self.runner.close()
        shutil.rmtree(self.root)

    @property
    def items(self) -> Items:
        self.turn += 1
        return self.handles[self.turn % 2].items

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(call)

    def attempt(self, call: Coroutine[Any, Any, Any], allowed: bool) -> Any:
        try:
            found = self.run(call)
        except Conflict:
            assert not allowed
            return None
        assert allowed
        return found

    def at(self, seconds: float | None) -> Any:
        return None if seconds is None else self.clock.now() + timedelta(seconds=seconds)

    @rule(
        target=ids,
        priority=st.integers(-1, 2),
        attempts=st.integers(1, 3),
        keys=st.sets(st.sampled_from("ab")),
        wait=st.sampled_from([None, None, 20]),
        end=st.sampled_from([None, None, 50]),
    )
    def enqueue(self, priority: int, attempts: int, keys: set[str], wait: float | None, end: float | None) -> str:
        n, order = len(self.model.items), tuple(sorted(keys))
        new = NewItem(
            "q",
            {"n": n},
            priority=priority,
            max_attempts=attempts,
            conflict_keys=order,
            not_before=self.at(wait),
            expires_at=self.at(end),
        )
        item, _ = self.run(self.items.enqueue(new))
        expires = self.now + end if end else float("inf")
        self.model.items[item.id] = Modelled(n, priority, attempts, order, self.now + (wait or 0), expires)
        return item.id

    @rule(target=tokens, count=st.integers(1, 3), seconds=st.sampled_from([10, 60]))
    def claim(self, count: int, seconds: float) -> Any:
        expected = self.model.claim(self.now, count)
        found = self.run(self.items.claim("q", "w", seconds, count))
        assert [item.id for item in found] == expected
        for item in found:
            modelled = self.model.items[item.id]
            modelled.state, modelled.token, modelled.until = "leased", item.lease.token, self.now + seconds
            modelled.attempt, modelled.not_before = modelled.attempt + 1, 0.0
            assert item.attempt == modelled.attempt
        return multiple(*((item.id, item.lease.token) for item in found))

    def holds(self, id: str, token: str) -> bool:
        return self.model.items[id].state == "leased" and self.model.items[id].token == token

    @rule(held=tokens, seconds=st.sampled_from([10, 60]))
    def renew(self, held: tuple[str, str], seconds: float) -> None:
        if self.attempt(self.items.renew(*held, seconds), self.holds(*held)):
            self.model.items[held[0]].until = self.now + seconds

    @rule(held=consumes(tokens))
    def complete(self, held: tuple[str, str]) -> None:
        if self.attempt(self.items.complete(*held, {"n": 1}), self.holds(*held)):
            self.model.items[held[0]].state = "done"
            assert self.run(self.items.complete(*held, {"n": 1})).state == "done"

    @rule(held=tokens, pause=st.sampled_from([None, 0, 15]))
    def fail(self, held: tuple[str, str], pause: float | None) -> None:
        if self.attempt(self.items.fail(*held, "no", pause), self.holds(*held)):
            item = self.model.items[held[0]]
            seconds = min(FIRST_PAUSE * 2 ** (item.attempt - 1), LONGEST_PAUSE) if pause is None else pause
            item.state = "failed" if seconds else "ready"
            item.not_before = self.now + seconds if seconds else 0.0
            if item.attempt >= item.max_attempts:
                item.state = "dead"

    @rule(held=tokens, hold=st.sampled_from([None, "why"]))
    def release(self, held: tuple[str, str], hold: str | None) -> None:
        if self.attempt(self.items.release(*held, hold), self.holds(*held)):
            item = self.model.items[held[0]]
            item.state, item.attempt = "held" if hold else "ready", item.attempt - 1

    @rule(id=ids)
    def cancel(self, id: str) -> None:
        self.model.settle(self.now)
        item = self.model.items[id]
        if self.attempt(self.items.cancel(id), item.state in (*WAITING, "cancelled")):
            item.state = "cancelled"

    @rule(id=ids, priority=st.integers(-1, 2))
    def prioritize(self, id: str, priority: int) -> None:
        self.model.settle(self.now)
        item = self.model.items[id]
        if self.attempt(self.items.prioritize(id, priority), item.state in WAITING):
            item.priority = priority

    @rule(id=ids)
    def retry(self, id: str) -> None:
        self.model.settle(self.now)
        item = self.model.items[id]
        was = item.state
        if self.attempt(self.items.retry(id), was in ("dead", "held", "failed")):
            item.state, item.not_before = "ready", 0.0
            item.attempt = 0 if was == "dead" else item.attempt

    @rule(seconds=st.sampled_from([1, 10, 30]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def look(self) -> None:
        self.model.settle(self.now)
        found, cursor = self.run(self.items.list("q", limit=500))
        assert cursor is None
        assert {i.id: (i.state, i.attempt, i.priority) for i in found} == {
            id: (i.state, i.attempt, i.priority) for id, i in self.model.items.items()
        }

    @rule()
    def forget(self) -> None:
        shutil.rmtree(self.root / ".argosy", ignore_errors=True)
