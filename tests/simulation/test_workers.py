"""Seeded runs of workers that die, sleep, have wrong clocks and lose power: each item ends once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest
from simulated_workers import check_seed, count_at_once

SEED = os.environ.get("ARGOSY_SEED")
MEMORY = Path("/dev/shm")


def seeds(count: int) -> Sequence[int]:
    return [int(SEED)] if SEED is not None else range(count)


@pytest.fixture
def root(tmp_path: Path) -> Generator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path) as folder:
        yield Path(folder)


@pytest.mark.parametrize("store", ["files", "sqlite"])
def test_no_seed_loses_or_doubles_an_item(store: str, root: Path) -> None:
    runs = [check_seed(root, seed, store=store)[0] for seed in seeds(20)]
    if SEED is None:  # the runs are of some use
        assert sum(run.deaths for run in runs) > 10
        assert sum(run.cuts for run in runs) >= 20
        assert sum(run.late for run in runs) > 10


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("store", ["files", "sqlite"])
def test_no_seed_loses_or_doubles_an_item_in_a_long_run(store: str, root: Path) -> None:
    for seed in seeds(200):
        check_seed(root, 1000 + seed if SEED is None else seed, count=60, store=store)


@pytest.mark.parametrize("store", ["files", "sqlite"])
def test_the_same_seed_is_the_same_history(store: str, root: Path) -> None:
    runs = (("a", 3), ("b", 3), ("c", 4))
    first, again, other = (check_seed(root / name, seed, store=store)[1] for name, seed in runs)
    assert first == again != other


@pytest.mark.parametrize("seed", seeds(5))
def test_writers_that_step_on_each_other_lose_no_change(seed: int, root: Path) -> None:
    count_at_once(root, seed)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_writers_that_step_on_each_other_lose_no_change_with_any_seed(root: Path) -> None:
    for seed in seeds(500):
        count_at_once(root, seed)
