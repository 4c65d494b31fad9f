"""Any sequence of calls does to a queue in PostgreSQL what it does to a model of it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from items_machine import Machine
from postgres_server import PostgresServer

from argosy_core.storage.base import Store
from argosy_core.storage.postgres.store import PostgresStore
from argosy_core.testing.fakes import SeededIds


class PostgresMachine(Machine):
    """Two handles on one schema."""

    def __init__(self, server: PostgresServer) -> None:
        self.url = server.url()
        super().__init__()

    def opened(self, seed: int) -> Store:
        return PostgresStore(self.url, self.root, self.clock, SeededIds(seed))

    @rule(seed=st.integers(2, 1000))
    def open_anew(self, seed: int) -> None:
        self.handles[0].close()
        self.handles[0] = self.opened(seed)


def check(server: PostgresServer, examples: int) -> None:
    run_state_machine_as_test(
        lambda: PostgresMachine(server),
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )


def test_a_queue_in_postgresql_does_as_the_model(postgres: PostgresServer) -> None:
    check(postgres, 8)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_queue_in_postgresql_does_as_the_model_for_long(postgres: PostgresServer) -> None:
    check(postgres, 300)
