"""Any sequence of calls does to a store what it does to a model of a queue."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule
from items_machine import Machine

from argosy_core.storage.base import Store
from argosy_core.storage.sqlite.store import SqliteStore
from argosy_core.testing.fakes import SeededIds


class SqliteMachine(Machine):
    """The same over a database."""

    def opened(self, seed: int) -> Store:
        return SqliteStore(self.root / "fleet.sqlite", self.root, self.clock, SeededIds(seed))

    @rule(seed=st.integers(2, 1000))
    def open_anew(self, seed: int) -> None:
        self.handles[0].close()
        self.handles[0] = self.opened(seed)


_SETTINGS = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestItems = Machine.TestCase
TestItems.settings = _SETTINGS
TestSqliteItems = SqliteMachine.TestCase
TestSqliteItems.settings = settings(_SETTINGS, max_examples=15)
