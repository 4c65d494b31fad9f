"""Power is cut after every step of a lease's life: no generation is given out twice, and no lease ends early."""

from __future__ import annotations

from pathlib import Path

from at_once import LeasesAtOnce, Now
from power_cuts import Acknowledge, cut, vault_on

from argosy_core.errors import Conflict
from argosy_core.storage.base import Lease
from argosy_core.testing.fakes import FakeClock, SeededIds
from argosy_core.testing.power import Crash
from argosy_core.vault import Vault

NAME = "the desk"


def two_holders(vault: Vault, acknowledge: Acknowledge) -> None:
    leases = Now(LeasesAtOnce(vault, vault.clock, SeededIds(5)))
    first = leases.acquire(NAME, "ann", 30)
    acknowledge(("held", first))
    renewed = leases.renew(first, 60)
    acknowledge(("held", renewed))
    leases.release(renewed)
    acknowledge(("free", renewed))
    acknowledge(("held", leases.acquire(NAME, "bob", 30)))


def check_opened_again(root: Path, crash: Crash) -> None:
    vault = vault_on(root, crash.disk, ids=8)
    leases = Now(LeasesAtOnce(vault, vault.clock, SeededIds(88)))
    told: list[tuple[str, Lease]] = list(crash.acknowledged)
    found = leases.current(NAME)
    if told and told[-1][0] == "held" and len(told) in (1, 4):  # what comes next may have begun
        assert found is not None
        assert found.generation == told[-1][1].generation
        assert found.expires_at >= told[-1][1].expires_at
    try:
        given = leases.acquire(NAME, "cid", 30)
    except Conflict:
        assert isinstance(vault.clock, FakeClock)
        vault.clock.advance(61)
        given = leases.acquire(NAME, "cid", 30)
    assert all(given.generation > lease.generation for _, lease in told)


def test_every_crash_leaves_a_lease_as_it_was_acknowledged(tmp_path: Path) -> None:
    found = cut(tmp_path, {}, two_holders)
    assert len(found) > 20
    for crash in found:
        check_opened_again(tmp_path, crash)
