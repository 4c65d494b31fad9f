"""``make official``: the official MCP conformance suite, in both eras, against the fleet and the fixture server.

What does not pass must stand in docs/conformance.md with its reason, and what stands there must not pass: anything else
is named, and the exit code is 1. Options: ``--only fleet,fixture,gateway``, ``--out FOLDER`` keeps the suite's results,
``--suite COMMAND`` runs a suite that is installed already.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / part) for part in ("servers", "shared", "host", "tests/support", "tests/official")]

from excepted import ERAS, PAGE, compare, read_table  # noqa: E402
from official_suite import NoSuite, run_suite, suite_command  # noqa: E402
from places import PLACES, served  # noqa: E402

CANNOT = 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(PLACES))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--suite")
    options = parser.parse_args()
    places: list[str] = options.only.split(",")
    if unknown := set(places) - PLACES.keys():
        parser.error(f"no such place: {', '.join(sorted(unknown))}; there are {', '.join(PLACES)}")
    try:
        command = suite_command(options.suite)
        with tempfile.TemporaryDirectory(prefix="argosy-official-") as folder:
            out: Path = options.out or Path(folder, "results")
            held = [check_place(place, Path(folder, place), out, command) for place in places]
    except NoSuite as exc:
        print(f"make official: {exc}", file=sys.stderr)
        return CANNOT
    return 0 if all(held) else 1


def check_place(place: str, folder: Path, out: Path, command: Sequence[str]) -> bool:
    """Run both eras against *place*, and say how they compare with the page; whether they are as it says."""
    folder.mkdir(parents=True)
    rows = read_table(PAGE.read_text(encoding="utf-8"))
    holds = True
    with served(place, folder) as url:
        for era in ERAS:
            failing = run_suite(command, url, era, out / place / era)
            excepted = frozenset(row.name for row in rows if (row.place, row.era) == (place, era))
            verdict = compare(failing, excepted)
            passed = sum(not checks for checks in failing.values())
            print(f"{place} {era}: {passed} of {len(failing)} scenarios pass", flush=True)
            for name in verdict.unlisted:
                print(f"  does not pass, and {PAGE.name} does not say why: {name}")
            for name in verdict.stale:
                print(f"  passes or was not run, and {PAGE.name} excepts it: {name}")
            holds = holds and verdict.holds
    return holds


if __name__ == "__main__":
    sys.exit(main())
