"""What every test shares."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from counted import counted_lines
from hypothesis import HealthCheck, settings
from made_once import make_once
from postgres_server import PostgresServer, running_postgres
from redis_server import RedisServer, running_redis

# Machines are busy now and then: how long an example takes says nothing. HYPOTHESIS_PROFILE=thorough looks longer.
settings.register_profile("brief", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "brief"))

make_once()
gc.set_threshold(5_000, 10, 20)  # most of what a test makes stays until its end

# A shell starts what it puts in the background with SIGINT ignored, and children would ignore it too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """The tests all stay: looking through them for garbage, again and again, took a fifth of their time."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """What is kept between starts is kept here, and not with the person who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person whose state folder is the test's own, and who has no key of a provider."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)


@pytest.fixture(scope="session")
def postgres() -> Generator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def redis() -> Generator[RedisServer]:
    with running_redis() as server:
        yield server


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell what the long tests counted, whichever process ran them."""
    ended = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, ())]
    lines = counted_lines(report for report in ended if report.when == "call")
    if lines:
        terminalreporter.section("counted")
        for line in lines:
            terminalreporter.write_line(line)
