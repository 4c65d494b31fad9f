"""The suite as a program: how it is started, and what it says of each scenario."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SUITE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
NODE = "node@22"
# What that version has for an era: a run that ends early must not pass for one without failures.
SCENARIOS = {"2025-11-25": 33, "2026-07-28": 50}
RUN_SECONDS = 600
NOT_PASSED = ("FAILURE", "WARNING")
TAIL_LINES, WIDEST = 12, 200
_RESULT = re.compile(r"server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z")


class NoSuite(Exception):
    """The suite cannot be run here; the text says what is missing."""


def suite_command(given: str | None) -> list[str]:
    """How the suite is started. Raises NoSuite when nothing here can."""
    if given:
        return shlex.split(given)
    npx = shutil.which("npx")
    if npx is None:
        raise NoSuite("the suite is a program for Node, and there is no npx on the path: install Node 22 or newer")
    return [npx, "-y", "-p", NODE, "-p", SUITE, "conformance"]


def run_suite(command: Sequence[str], url: str, era: str, out: Path) -> dict[str, frozenset[str]]:
    """By scenario, the checks that did not pass. Raises NoSuite when there are not all scenarios."""
    shutil.rmtree(out, ignore_errors=True)
    line = [*command, "server", "--url", url, "--requirements", era, "-o", str(out)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    found = {match[1]: path for path in out.glob("*") if (match := _RESULT.fullmatch(path.name))}
    if len(found) != SCENARIOS[era]:
        raise NoSuite(
            f"the suite ran {len(found)} scenarios of {SCENARIOS[era]}: {shlex.join(line)}\n{_end_of(done.stderr)}"
        )
    return {name: not_passed(path / "checks.json") for name, path in sorted(found.items())}


def _end_of(text: str) -> str:
    # Node repeats the line that a program broke on, and the suite's program is one line.
    return "\n".join(line[:WIDEST] for line in text.splitlines()[-TAIL_LINES:])


def not_passed(path: Path) -> frozenset[str]:
    """The checks in a scenario's result that failed, or that the suite warns of; a scenario without a result failed."""
    if not path.is_file():
        return frozenset({"no-result"})
    checks: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return frozenset(check["id"] for check in checks if check["status"] in NOT_PASSED)
