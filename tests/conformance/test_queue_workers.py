"""Real workers in processes of their own, killed in the middle: each item is done once, or dead with its reason."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from postgres_server import PostgresServer
from queue_workers import fill, history_of, run_and_kill

from argosy_core.testing.history import check_history

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


@pytest.mark.parametrize("address", ["files", "sqlite:///fleet.sqlite"], ids=["files", "sqlite"])
async def test_every_item_ends_once_whoever_is_killed(address: str, tmp_path: Path) -> None:
    count, kills = (400, 12) if address == "files" else (250, 8)
    await kill_and_check(tmp_path, count, kills, bound_seconds=90, address=address)


async def test_every_item_in_postgresql_ends_once_whoever_is_killed(postgres: PostgresServer, tmp_path: Path) -> None:
    await kill_and_check(tmp_path, 150, kills=5, bound_seconds=90, address=postgres.url())


async def kill_and_check(tmp_path: Path, count: int, kills: int, bound_seconds: float, address: str = "files") -> None:
    vault = tmp_path / "vault"
    vault.mkdir()
    await fill(vault, address, count)
    killed = run_and_kill(vault, address, 4, kills, 20261120, bound_seconds)
    ops, ends = await history_of(vault, address)
    assert killed >= kills // 2
    assert check_history(ops, ends) == []
    states = Counter(end.state for end in ends)
    assert states["done"] + states["dead"] == count == len(ends)
    assert states["done"] >= count * 0.8
    files = [path for path in (vault / "_fleet/queue").rglob("*") if path.is_file()]
    assert len(files) == (count if address == "files" else 0), "each item lies in one place, and no draft is left"
