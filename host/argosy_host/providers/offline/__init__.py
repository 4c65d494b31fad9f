"""The model that needs no key: deterministic, extractive, and honestly no language model."""

from __future__ import annotations

from argosy_host.providers.offline.model import OfflineModel

__all__ = ["OfflineModel"]
