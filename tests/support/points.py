"""Ties a test to the points of a requirements table that it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])


def holds(*points: str) -> Callable[[_F], _F]:
    """Say that the decorated test holds *points*."""

    def mark(test: _F) -> _F:
        test.points = points  # type: ignore[attr-defined]
        return test

    return mark
