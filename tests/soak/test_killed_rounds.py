"""Writers killed with SIGKILL, one after the other: nothing torn, lost, doubled or left, over files and in databases.

A kill says nothing about syncing: what a killed process wrote is still in the kernel. Power cuts are in tests/crash.
The vaults are on a disk all the same: where a sync takes no time, a kill hardly ever hits what lies around it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from children import ROOT, environment
from counted import COUNTED, counts_of
from power_cuts import LONG

ROUNDS = int(os.environ.get("ARGOSY_SOAK_ROUNDS", "10000"))
SEED = os.environ.get("ARGOSY_SEED", "20261126")
SECONDS_A_ROUND = 2.0  # at the very most, on a machine that does other things
FEW = pytest.param(12, id="some rounds")
MANY = pytest.param(ROUNDS, id="all rounds", marks=(LONG[0], pytest.mark.timeout(100 + SECONDS_A_ROUND * ROUNDS)))


def killed(tmp_path: Path, store: str, rounds: int, *bugs: str) -> dict[str, Any]:
    vault = tmp_path / "vault"
    (vault / "harbor").mkdir(parents=True)
    env = environment()
    env["PYTHONPATH"] += f":{ROOT}/tests/support"
    program = [sys.executable, "-P", f"{ROOT}/tests/support/killed_rounds.py"]
    ran = subprocess.run(
        [*program, str(vault), store, str(rounds), SEED, *bugs],
        env=env,
        capture_output=True,
        text=True,
        timeout=50 + SECONDS_A_ROUND * rounds,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    report: dict[str, Any] = json.loads(ran.stdout)
    return report


@pytest.mark.parametrize("store", ["files", "sqlite", "postgres"])
@pytest.mark.parametrize("rounds", [FEW, MANY])
def test_a_killed_writer_leaves_everything_whole(
    store: str, rounds: int, tmp_path: Path, request: pytest.FixtureRequest, record_property: Callable[[str, str], None]
) -> None:
    address = request.getfixturevalue("postgres").url() if store == "postgres" else store
    report = killed(tmp_path, address, rounds)
    record_property(COUNTED, f"killed writers, {store}: {counts_of(report)}")
    assert report["wrong"] == [], f"again: ARGOSY_SEED={SEED} pytest -m 'soak or not soak' -k killed_writer"
    assert report["rounds"] == rounds
    assert report["documents"] >= rounds // 4
    assert report["grown_descriptors"] == 0


@pytest.mark.soak
def test_a_writer_that_writes_in_place_is_found_out(tmp_path: Path) -> None:
    report = killed(tmp_path, "files", 100, "written in place")
    assert report["wrong"]
    assert report["torn"]
