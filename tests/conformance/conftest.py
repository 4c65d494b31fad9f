"""Servers that the substrates' tests share."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from postgres_server import PostgresServer, running_postgres
from redis_server import RedisServer, running_redis


@pytest.fixture(scope="session")
def postgres() -> Generator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def redis() -> Generator[RedisServer]:
    with running_redis() as server:
        yield server
