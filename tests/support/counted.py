"""What long tests counted, told at the end of the run in one line each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

COUNTED = "counted"
"""The name under which a test records its line, as a property of its report."""
_PLACES = ("lost", "torn", "double")


def counts_of(report: Mapping[str, Any]) -> str:
    """The whole numbers of *report*, those of what went wrong last."""
    whole = {name: value for name, value in report.items() if isinstance(value, int)}
    names = [name for name in whole if name not in _PLACES] + [name for name in _PLACES if name in whole]
    return ", ".join(f"{whole[name]:,} {name.replace('_', ' ')}" for name in names)


def counted_lines(reports: Iterable[Any]) -> list[str]:
    """The lines that the tests of *reports* recorded, in the order in which they came."""
    return [value for report in reports for name, value in report.user_properties if name == COUNTED]
