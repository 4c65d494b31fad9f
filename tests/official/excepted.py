"""What the page excepts: the one table of docs/conformance.md, which says of each exception why it is one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/conformance.md"
ERAS = ("2025-11-25", "2026-07-28")
BOTH = "both"
_ROW = re.compile(r"^\| (?P<places>[^|]+) \| (?P<era>[^|]+) \| (?P<names>`[^|]+) \| (?P<why>[^|]*) \|$", re.M)


@dataclass(frozen=True, slots=True)
class Exempt:
    """*name* is not expected to pass at *place* in *era*; it is a scenario, or ``scenario:check`` for one check."""

    place: str
    era: str
    name: str
    why: str


def read_table(text: str) -> list[Exempt]:
    """Every exception that the rows of *text* make, each place and era by itself. Raises ValueError."""
    return [found for row in _ROW.finditer(text) for found in _of_row(row)]


def _of_row(row: re.Match[str]) -> Iterator[Exempt]:
    era = row["era"].strip()
    if era not in (*ERAS, BOTH):
        raise ValueError(f"not an era: {era}")
    for place in row["places"].split(","):
        for each in ERAS if era == BOTH else (era,):
            for name in re.findall(r"`([^`]+)`", row["names"]):
                yield Exempt(place.strip(), each, name, row["why"].strip())


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run compares with the page; both lists are empty when it is as it says."""

    unlisted: list[str]  # does not pass, and the page does not say why
    stale: list[str]  # excepted, and passes or was not run

    @property
    def holds(self) -> bool:
        return not self.unlisted and not self.stale


def compare(failing: Mapping[str, frozenset[str]], excepted: frozenset[str]) -> Verdict:
    """What is wrong with a run in which each scenario left the checks *failing* (none: it passed) as they are.

    An exception of a whole scenario excuses all of its checks; one of a check excuses that check alone.
    """
    whole = {name for name in excepted if ":" not in name}
    single = excepted - whole
    left = {f"{scenario}:{check}" for scenario, checks in failing.items() if scenario not in whole for check in checks}
    passing = {scenario for scenario in whole if not failing.get(scenario)}
    return Verdict(unlisted=sorted(left - single), stale=sorted(passing | (single - left)))
