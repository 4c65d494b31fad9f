"""All suites by the part of a store that they are about. Those named in `WHOLE_STORE` are given the store itself."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from argosy_core.testing.conformance import (
    archive,
    bell,
    cancelling,
    chain,
    chain_proofs,
    chain_reading,
    documents,
    hostile,
    item_ends,
    item_holds,
    items,
    leases,
    processes,
    restarting,
)

Suites = Mapping[str, Sequence[Callable[[Any], Coroutine[Any, Any, None]]]]
WHOLE_STORE = ("bell", "archive", "hostile", "cancelling", "restarting", "processes", "failing")
SUITES: Suites = {
    "documents": documents.CHECKS,
    "chain": (*chain.CHECKS, *chain_reading.CHECKS),
    "leases": leases.CHECKS,
    "items": (*items.CHECKS, *item_ends.CHECKS, *item_holds.CHECKS),
    "archive": archive.CHECKS,
    "bell": bell.CHECKS,
    "hostile": hostile.CHECKS,
    "cancelling": cancelling.CHECKS,
    "restarting": restarting.CHECKS,
    "processes": processes.CHECKS,
}
TAMPER_SUITES: Suites = {"chain": (*chain.TAMPER_CHECKS, *chain_proofs.PROOF_CHECKS)}
"""For openers that know a way behind the store's back."""
FOLDER_SUITES: Suites = {
    "chain": chain.FILE_CHECKS,
    "items": item_holds.FILE_CHECKS,
    "bell": bell.FILE_CHECKS,
}
"""For openers over a folder that a person can reach too."""
