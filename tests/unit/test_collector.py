"""The collector rests while a process starts, and never longer."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy_core.serving.config import ServerConfig, open_store
from argosy_host.collector import STARTING, ease, settle
from argosy_host.compose import compose


@pytest.fixture(autouse=True)
def usual() -> Iterator[tuple[int, int, int]]:
    before = gc.get_threshold()
    yield before
    gc.set_threshold(*before)


def test_it_looks_as_often_as_before_once_the_start_is_over(usual: tuple[int, int, int]) -> None:
    frozen = gc.get_freeze_count()
    ease()
    assert gc.get_threshold()[0] == STARTING > usual[0]
    settle()
    assert gc.get_threshold() == usual
    assert gc.get_freeze_count() > frozen


def test_what_comes_after_the_start_is_collected_as_ever(usual: tuple[int, int, int]) -> None:
    ease()
    settle()
    frozen = gc.get_freeze_count()
    settle()

    assert gc.get_freeze_count() == frozen  # a second one freezes nothing: it may be garbage later


def test_where_nothing_was_eased_nothing_is_frozen(usual: tuple[int, int, int]) -> None:
    frozen = gc.get_freeze_count()
    settle()
    assert (gc.get_threshold(), gc.get_freeze_count()) == (usual, frozen)


@pytest.mark.anyio
async def test_a_composed_fleet_has_started(usual: tuple[int, int, int], tmp_path: Path) -> None:
    store = open_store(tmp_path)
    ease()
    async with compose([], ServerConfig(store)):
        assert gc.get_threshold() == usual
    store.close()
