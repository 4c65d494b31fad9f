"""The kit by which a third party proves its own store, run as it is run there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from warm import PYTHONPATH, ROOT

from argosy_core.errors import NotFound
from argosy_core.testing.conformance.suites import SUITES
from argosy_core.testing.openers import opener

SUPPORT = ROOT / "tests/support"
BROKEN = SUPPORT / "broken_stores.py"


def kit(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        [sys.executable, "-P", "-W", "error", "-m", "argosy_core.testing", *words],
        env={**env, "PYTHONPATH": os.pathsep.join((PYTHONPATH, str(SUPPORT)))},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_a_store_that_keeps_its_promises_is_proved(tmp_path: Path) -> None:
    done = kit("argosy_core.testing.openers:sqlite", "leases", "archive", "bell", cwd=tmp_path)
    counts = [
        f"{name}: {len(SUITES[name])} of {len(SUITES[name])} promises are kept"
        for name in ("leases", "archive", "bell")
    ]
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, counts, "")


def test_a_store_that_breaks_a_promise_is_found_out_and_the_promise_is_said(tmp_path: Path) -> None:
    done = kit(f"{BROKEN}:generous", "leases", "processes", cwd=tmp_path)
    assert done.returncode == 1
    assert "a lease is held by one process" in done.stdout
    assert "leases: Of many that want a lease at once, on several handles, exactly one gets it." in done.stdout
    assert "check_one_of_many_gets_it: promised: one of sixteen: 1; came: 16" in done.stdout
    assert "processes: 0 of 1 promises are kept" in done.stdout


@pytest.mark.soak
def test_processes_that_fork_a_chain_are_found_out(tmp_path: Path) -> None:
    done = kit(f"{BROKEN}:unlocked", "processes", cwd=tmp_path)
    assert "one chain of each writer, whole" in done.stdout
    assert done.returncode == 1
    assert "processes: 0 of 1 promises are kept" in done.stdout


def test_nothing_of_the_kit_needs_a_test_framework() -> None:
    folder = ROOT / "shared/argosy_core/testing"
    paths = (path.relative_to(ROOT / "shared").with_suffix("") for path in folder.rglob("*.py"))
    modules = [".".join(path.parts).removesuffix(".__init__") for path in paths]
    assert "argosy_core.testing.conformance.processes" in modules
    blocked = "import sys; sys.modules.update(dict.fromkeys(('pytest', '_pytest', 'hypothesis')));"
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", f"{blocked} import {', '.join(modules)}"],
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "words", [(), ("argosy_core.testing.openers:files", "nonsense"), ("none:none",), ("x.py:y",), ("-v",)]
)
def test_wrong_usage_is_said_and_nothing_is_run(words: tuple[str, ...], tmp_path: Path) -> None:
    done = kit(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout.count("\n") == 1
    assert "OPENER" in done.stdout or "opener" in done.stdout


def test_help_says_what_an_opener_is(tmp_path: Path) -> None:
    done = kit("--help", cwd=tmp_path)
    assert done.returncode == 0 and "module:function" in done.stdout


def test_an_opener_is_found_in_a_file_and_in_a_module(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from argosy_core.testing.openers import files as opened\n")
    assert opener(f"{tmp_path / 'mine.py'}:opened") is opener("argosy_core.testing.openers:files")
    for name in ("", "files", "argosy_core.testing.openers:none", f"{tmp_path / 'none.py'}:opened"):
        with pytest.raises(NotFound) as caught:
            opener(name)
        assert caught.value.hint
