"""How values lie, in buckets that grow with them, so that a percentile needs no list of all values.

A value is told from its bucket to within `RELATIVE_ERROR` of itself; 0 is exact, and so are small whole numbers' order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

GROWTH = 1.04
RELATIVE_ERROR = (GROWTH - 1) / 2
_LOG_GROWTH = math.log(GROWTH)


def bucket_of(value: int) -> int:
    """The number of the bucket of a whole number; negative ones count as 0."""
    return 0 if value <= 0 else 1 + int(math.log(value) / _LOG_GROWTH)


def value_of(bucket: int) -> float:
    """A value within `RELATIVE_ERROR` of every whole number in the bucket."""
    return 0.0 if bucket <= 0 else GROWTH ** (bucket - 1) * (1 + RELATIVE_ERROR)


def percentile_of_buckets(counts: Mapping[int, int], percent: float) -> float | None:
    """The nearest-rank percentile, as a bucket's value; None of nothing."""
    total = sum(counts.values())
    if not total:
        return None
    rank = max(1, math.ceil(total * percent / 100))
    for bucket in sorted(counts):
        rank -= counts[bucket]
        if rank <= 0:
            return value_of(bucket)
    return None


def percentile_of_values(values: Mapping[int, int], percent: float) -> float | None:
    """The nearest-rank percentile of values, each with how often it comes; None of nothing."""
    rank = max(1, math.ceil(sum(values.values()) * percent / 100))
    for value in sorted(values):
        rank -= values[value]
        if rank <= 0:
            return float(value)
    return None
