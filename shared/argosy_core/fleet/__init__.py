"""Which servers there are: the packaged registry, and what a vault's own ``registry.json`` changes in it."""

from __future__ import annotations

from argosy_core.fleet.load import load_registry, packaged
from argosy_core.fleet.servers import FILE, FleetServer, Registry, Transport

__all__ = ["FILE", "FleetServer", "Registry", "Transport", "load_registry", "packaged"]
