"""What a line of the bench's table says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "bench"))
from measure import Row, show  # pyright: ignore[reportMissingImports]


def test_what_was_not_measured_is_never_said_to_hold(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [Row.missing("P17", "a peer", "no network"), Row("P1", "fast", 1, 2, 2, "ms", "≤ 2")]
    show([*rows, Row("P1", "slow", 3, 2, 2, "ms", "≤ 2")])
    _, missing, fast, slow = capsys.readouterr().out.splitlines()
    assert "NOT MEASURED (not measured: no network" in missing and "holds" not in missing and not rows[0].holds
    assert "holds" in fast and "MISSED" in slow
