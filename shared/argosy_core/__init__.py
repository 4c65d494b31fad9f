"""What every server of the fleet and its host share: vault, storage, identity, policy, server base."""

from __future__ import annotations

__version__ = "0.1.0"
