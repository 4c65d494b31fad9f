"""The suites that every substrate passes, and how pytest runs them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest

from argosy_core.testing.conformance import (
    archive,
    bell,
    cancelling,
    chain,
    chain_proofs,
    chain_reading,
    documents,
    item_ends,
    item_holds,
    items,
    leases,
    restarting,
)

Suites = Mapping[str, Sequence[Callable[[Any], Awaitable[None]]]]
WHOLE_STORE = (
    "bell",
    "archive",
    "cancelling",
    "restarting",
    "failing",
)  # suites about a store, not about one part of it
SUITES: Suites = {
    "documents": documents.CHECKS,
    "chain": (*chain.CHECKS, *chain_reading.CHECKS, *chain.TAMPER_CHECKS, *chain_proofs.PROOF_CHECKS),
    "leases": leases.CHECKS,
    "items": (*items.CHECKS, *item_ends.CHECKS, *item_holds.CHECKS),
    "archive": archive.CHECKS,
    "bell": bell.CHECKS,
    "cancelling": cancelling.CHECKS,
    "restarting": restarting.CHECKS,
}
FOLDER_SUITES: Suites = {
    "chain": chain.FILE_CHECKS,
    "items": item_holds.FILE_CHECKS,
    "bell": bell.FILE_CHECKS,
}


def every(*tables: Suites) -> list[Any]:
    """A parameter for each check."""
    return [
        pytest.param(suite, check, id=f"{suite}-{check.__name__.removeprefix('check_')}")
        for suites in tables
        for suite, checks in suites.items()
        for check in checks
    ]
