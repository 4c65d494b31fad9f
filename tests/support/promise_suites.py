"""The suites that every substrate passes, and how pytest runs them."""

from __future__ import annotations

from typing import Any

import pytest

from argosy_core.testing.conformance.suites import FOLDER_SUITES, TAMPER_SUITES, WHOLE_STORE, Suites
from argosy_core.testing.conformance.suites import SUITES as ALL_SUITES

__all__ = ["FOLDER_SUITES", "SUITES", "WHOLE_STORE", "Suites", "every"]
SUITES: Suites = {name: (*checks, *TAMPER_SUITES.get(name, ())) for name, checks in ALL_SUITES.items()}


def every(*tables: Suites) -> list[Any]:
    """A parameter for each check."""
    return [
        pytest.param(suite, check, id=f"{suite}-{check.__name__.removeprefix('check_')}")
        for suites in tables
        for suite, checks in suites.items()
        for check in checks
    ]
