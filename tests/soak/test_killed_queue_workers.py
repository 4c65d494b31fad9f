"""A million operations on items, by workers that are killed: shift after shift, each on a vault of its own."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from counted import COUNTED, counts_of
from queue_workers import fill, history_of, run_and_kill

from argosy_core.testing.history import check_history, is_loss

pytestmark = [pytest.mark.anyio, pytest.mark.soak]
OPERATIONS = int(os.environ.get("ARGOSY_SOAK_OPERATIONS", "1000000"))
SHARES = {"files": 0.1, "sqlite": 0.6, "postgres": 0.3}  # a file a move: as long for a tenth as SQLite for the rest
ITEMS_A_SHIFT = 8_000
ITEMS_A_KILL = 80
WORKERS = 4
SHIFT_SECONDS = 900.0  # at the very most


@pytest.fixture(params=["files", "sqlite", "postgres"])
def place(request: pytest.FixtureRequest) -> tuple[str, Callable[[], str]]:
    """The name of a store, and what gives the address of a new one."""
    if request.param == "postgres":
        return "postgres", request.getfixturevalue("postgres").url
    return request.param, lambda: "files" if request.param == "files" else "sqlite:///fleet.sqlite"


@pytest.mark.timeout(SHIFT_SECONDS + OPERATIONS * 0.02)
async def test_every_one_of_many_items_ends_once(
    place: tuple[str, Callable[[], str]], tmp_path: Path, record_property: Callable[[str, str], None]
) -> None:
    store, new_address = place
    wanted = OPERATIONS * SHARES[store]
    totals: Counter[str] = Counter({"operations": 0, "kills": 0, "lost": 0, "double": 0})
    while totals["operations"] < wanted:
        folder = tmp_path / f"{totals['shifts']}"
        problems = await shift(new_address(), folder, totals)
        shutil.rmtree(folder)
        totals["lost"] += sum(is_loss(problem) for problem in problems)
        totals["double"] += sum(not is_loss(problem) for problem in problems)
        assert problems == []
    record_property(COUNTED, f"killed workers, {store}: {counts_of(totals)}")


async def shift(address: str, folder: Path, totals: Counter[str]) -> list[str]:
    """Fill a queue, have it worked off and count; what the history of it says is wrong."""
    vault, kills = folder / "vault", ITEMS_A_SHIFT // ITEMS_A_KILL
    vault.mkdir(parents=True)
    await fill(vault, address, ITEMS_A_SHIFT)
    seed = 11 + totals["shifts"]
    killed = run_and_kill(vault, address, WORKERS, kills, seed, SHIFT_SECONDS, lines=2 * ITEMS_A_KILL)
    ops, ends = await history_of(vault, address)
    assert killed >= kills // 4
    assert Counter(end.state in ("done", "dead") for end in ends) == {True: ITEMS_A_SHIFT}
    totals.update(operations=sum(not op.tried for op in ops), kills=killed, shifts=1, items=len(ends))
    return check_history(ops, ends)
