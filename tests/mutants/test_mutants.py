"""Every planted bug is caught by the tests that promise its absence; a bug that nobody catches fails here."""

from __future__ import annotations

import inspect
import re
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import anyio
import pytest
import simulated_workers
import test_files_store
import test_io_errors
import test_power_chain
import test_power_items
import test_power_leases
import test_power_vault
import test_walk
from children import ROOT
from planted_bugs import BUGS, planted

from argosy_core.storage import item_rules
from argosy_core.testing.conformance import chain_proofs, chain_tampering
from argosy_core.vault import Vault

Check = Callable[[Path], Any]


def running(test: Callable[..., Any], **more: Any) -> Check:
    """*test* with its folder, under whichever name it wants it."""
    folder = next(name for name in ("tmp_path", "root") if name in inspect.signature(test).parameters)

    def check(place: Path) -> None:
        result = test(**{folder: place}, **more)
        if inspect.isawaitable(result):
            anyio.run(lambda: result)

    check.__name__ = test.__name__ + "".join(f" {getattr(value, '__name__', value)}" for value in more.values())
    return check


def items_lose_power(program: test_power_items.Program) -> Check:
    return running(
        test_power_items.test_every_crash_leaves_each_item_once_where_it_was_acknowledged, program=program, limit=1
    )


def chain_loses_power(program: Any) -> Check:
    test = test_power_chain.test_every_crash_leaves_a_whole_chain_with_all_that_was_acknowledged
    return running(test, program=program)


replaced = running(test_power_vault.test_a_replaced_file_is_old_or_new)
created = running(test_power_vault.test_a_new_file_in_new_folders_is_whole_or_not_there)
stamped = running(test_power_vault.test_a_new_text_has_a_stamp_of_its_own_after_every_crash)
dead_writer = running(test_power_vault.test_what_a_dead_writer_left_unsynced_carries_nothing_that_is_acknowledged)
versions = running(test_power_vault.test_a_kept_version_is_there_before_the_new_text_is)
cut_tail = running(test_power_vault.test_a_cut_tail_is_on_the_file_or_set_aside)
removed = running(test_power_vault.test_a_removed_file_is_whole_or_gone)
held = running(
    test_power_vault.test_acknowledged_lines_are_all_there, program=test_power_vault.appended_held, before={}
)
swapped = running(test_walk.test_a_link_that_came_in_a_folders_place_is_not_followed, name="harbor")
made_again = running(test_walk.test_a_folder_made_again_is_made_durable_again)
swept = running(test_power_vault.test_whatever_step_a_writer_dies_at_its_draft_is_swept)
leases = running(test_power_leases.test_every_crash_leaves_a_lease_as_it_was_acknowledged)
groups = chain_loses_power(test_power_chain.group_commits)
failing_syncs = chain_loses_power(test_power_chain.failing_syncs)
one_life = items_lose_power(test_power_items.one_life)
many = items_lose_power(test_power_items.many_at_once)
dead_claim = running(
    test_power_items.test_a_move_that_a_dead_worker_began_is_durable_before_another_builds_on_it, what="claim", limit=1
)
failing_log = running(
    test_io_errors.test_a_failing_append_is_not_in_the_log_and_the_log_goes_on, error=5, for_good=False
)
failing_claim = running(
    test_io_errors.test_an_item_whose_move_fails_is_where_it_was_or_where_it_should_go, move="claim"
)
failing_replace = running(
    test_io_errors.test_a_failing_call_leaves_the_old_file_or_the_new, call="replace", error=28, for_good=False
)


def simulated(place: Path) -> None:
    simulated_workers.check_seed(place, 0)


def at_once(place: Path) -> None:
    simulated_workers.count_at_once(place)


def verifying(check: Callable[[Any], Any]) -> Check:
    """*check* of a log over files."""

    def run(place: Path) -> None:
        anyio.run(check, test_files_store.Opened(place, "chain"))

    run.__name__ = check.__name__
    return run


seams = verifying(chain_tampering.check_a_log_rewritten_from_some_point_is_named)
changed_fields = verifying(chain_tampering.check_a_changed_chain_field_is_named)
older = verifying(chain_proofs.check_an_older_chain_that_is_carried_is_checked)


# The first check of each is the one that must catch it in every run; with `make soak` each of them must.
KILLERS: dict[str, list[Check]] = {
    "no file is synced": [replaced, created, held, groups, one_life, leases],
    "no folder is synced": [replaced, created, removed, one_life, leases],
    "names left by others are not synced": [dead_writer, created, held],
    "a folder kept open is not looked at again": [swapped],
    "the number of a removed folder counts for the next": [made_again],
    "written in place": [replaced, versions, leases],
    "synced after the rename": [replaced, created, leases],
    "the time is set after the sync": [stamped],
    "acknowledged before it is written": [replaced, created, leases],
    "a version is kept after the new text": [versions],
    "a tail is cut and not set aside": [cut_tail],
    "no lock is held": [at_once],
    "a torn tail stays": [groups],
    "a hole in the last write stays": [groups],
    "a group commit acknowledges before the sync": [groups, held],
    "a failed sync is taken for a passing thing": [failing_syncs],
    "a failed append stays in the file": [failing_log, failing_syncs],
    "a key is forgotten": [groups],
    "the check of prev is left out": [seams],
    "the quick check of prev is left out": [changed_fields],
    "the check of prev in version 0 is left out": [older],
    "an item is dropped before it is put": [one_life, many],
    "a dead workers move is not synced before the older file goes": [dead_claim],
    "the older file of a move stays": [one_life, many],
    "a read error stops an item for good": [failing_claim],
    "an older token is accepted": [simulated],
    "a generation begins anew": [simulated],
    "a lease forgets its generation": [leases],
    "an ended lease is never given on": [many],
    "a lease is given on early": [simulated],
    "a failed writers draft stays": [failing_replace],
    "nothing is swept": [swept],
}


@pytest.fixture
def place(tmp_path: Path) -> Generator[Path]:
    """A folder in memory, where there is one."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        yield Path(folder)


def catches(check: Check, place: Path) -> bool:
    try:
        check(place)
    except (AttributeError, NameError, TypeError):  # the plant does not fit the code any more
        raise
    except Exception:  # any failure is a catch: a bug may break a call before its result is looked at
        return True
    return False


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_caught(bug: str, place: Path) -> None:
    with planted(bug):
        assert catches(KILLERS[bug][0], place), f"nobody noticed: {bug}"


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("bug", "check"),
    [pytest.param(bug, check, id=f"{bug}-{check.__name__}") for bug, checks in KILLERS.items() for check in checks],
)
def test_each_check_catches_the_bugs_it_is_there_for(bug: str, check: Check, place: Path) -> None:
    with planted(bug):
        assert catches(check, place), f"{check.__name__} did not notice: {bug}"


CHECKS = {check.__name__: check for checks in KILLERS.values() for check in checks}


@pytest.mark.soak
@pytest.mark.parametrize("check", [pytest.param(check, id=name) for name, check in CHECKS.items()])
def test_no_check_accuses_the_code_as_it_is(check: Check, place: Path) -> None:
    check(place)


def test_a_bug_is_gone_when_it_was_looked_at() -> None:
    lock, check_token = Vault.lock, item_rules.check_token
    for bug in BUGS:
        with planted(bug):
            assert bug != "no lock is held" or Vault.lock is not lock
    assert Vault.lock is lock
    assert item_rules.check_token is check_token


def test_every_bug_has_a_check_that_must_catch_it() -> None:
    assert set(KILLERS) == set(BUGS)


def test_the_bugs_that_were_are_planted() -> None:
    page = (ROOT / "docs/robustness.md").read_text(encoding="utf-8")
    named = re.findall(r"\| `([^`]+)` \|$", page, re.M)
    assert len(named) >= 6
    assert set(named) <= set(BUGS)
