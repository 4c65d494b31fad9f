"""Thousands of items, and workers that are killed all the time.

``ARGOSY_SOAK_ITEMS=333000`` makes it a million calls that change an item.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from queue_workers import fill, history_of, run_and_kill

from argosy_core.testing.history import check_history

pytestmark = [pytest.mark.anyio, pytest.mark.soak]
ITEMS = int(os.environ.get("ARGOSY_SOAK_ITEMS", "5000"))
KILLS = max(200, ITEMS // 25)
BOUND_SECONDS = 600 + ITEMS * 0.2


@pytest.mark.timeout(2 * BOUND_SECONDS)
@pytest.mark.parametrize(
    "address", ["files", "sqlite:///fleet.sqlite", "postgres"], ids=["files", "sqlite", "postgres"]
)
async def test_every_one_of_many_items_ends_once(address: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    address = request.getfixturevalue("postgres").url() if address == "postgres" else address
    vault = tmp_path / "vault"
    vault.mkdir()
    await fill(vault, address, ITEMS)
    killed = run_and_kill(vault, address, 4, KILLS, 11, BOUND_SECONDS)
    ops, ends = await history_of(vault, address)
    assert killed >= 100
    assert check_history(ops, ends) == []
    states = Counter(end.state for end in ends)
    assert states["done"] + states["dead"] == ITEMS == len(ends)
