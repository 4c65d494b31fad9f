"""What a server is created from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from argosy_core.attendance import Channel
from argosy_core.clock import Clock, SystemClock
from argosy_core.ids import Ids, SystemIds
from argosy_core.storage.base import Store
from argosy_core.storage.opening import open_store
from argosy_core.types import Role

__all__ = ["Profile", "ServerConfig", "open_store"]
Profile = Literal["default", "full"]


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One server's surroundings; servers of one process share *store*.

    *host_key* is the public key (32 bytes, Ed25519) of the host whose run tokens are believed; None believes none.
    *attended* says how the person whose calls these are showed that they are there; only a host says so.
    """

    store: Store
    agent: str | None = None
    role: Role = Role.AGENT
    profile: Profile = "default"
    host_key: bytes | None = None
    attended: Channel | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "WARNING"
    clock: Clock = field(default_factory=SystemClock)
    ids: Ids = field(default_factory=SystemIds)
