"""What a server is created from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from argosy_core.clock import Clock, SystemClock
from argosy_core.errors import InvalidArgument
from argosy_core.ids import Ids, SystemIds
from argosy_core.storage.base import Store
from argosy_core.storage.files.store import FileStore
from argosy_core.types import Role
from argosy_core.vault import Vault

Profile = Literal["default", "full"]


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One server's surroundings; servers of one process share *store*.

    *host_key* is the public key (32 bytes, Ed25519) of the host whose run tokens are believed; None believes none.
    """

    store: Store
    agent: str | None = None
    role: Role = Role.AGENT
    profile: Profile = "default"
    host_key: bytes | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "WARNING"
    clock: Clock = field(default_factory=SystemClock)
    ids: Ids = field(default_factory=SystemIds)


def open_store(vault: Path | str, store: str = "files", *, clock: Clock | None = None, ids: Ids | None = None) -> Store:
    """The store that *store* names, for the vault at *vault*.

    Raises NotFound when the vault is not there, InvalidArgument for a store this version does not have.
    """
    if store != "files":
        raise InvalidArgument(f"unknown store {store.split(':')[0]!r}", hint="this version has: files")
    clock, ids = clock or SystemClock(), ids or SystemIds()
    return FileStore(Vault(vault, clock=clock, ids=ids), clock, ids)
