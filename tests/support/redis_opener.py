"""How another process opens a vault whose bell and leases are in a Redis."""

from __future__ import annotations

from argosy_core.storage.address import Address
from argosy_core.storage.base import Store
from argosy_core.storage.opening import open_store


def opened(root: str, url: str) -> Store:
    """The store of the vault at *root*."""
    return open_store(root, Address(bell=url, leases=url))
