"""Thousands of items, and workers that are killed all the time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from queue_workers import fill, history_of, run_and_kill

from argosy_core.testing.history import check_history

pytestmark = [pytest.mark.anyio, pytest.mark.soak, pytest.mark.timeout(1800)]
ITEMS = 5_000


@pytest.mark.parametrize("address", ["files", "sqlite:///fleet.sqlite"], ids=["files", "sqlite"])
async def test_every_one_of_many_items_ends_once(address: str, tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    vault.mkdir()
    await fill(vault, address, ITEMS)
    killed = run_and_kill(vault, address, 4, 200, 11, 1500)
    ops, ends = await history_of(vault, address)
    assert killed >= 100
    assert check_history(ops, ends) == []
    states = Counter(end.state for end in ends)
    assert states["done"] + states["dead"] == ITEMS == len(ends)
