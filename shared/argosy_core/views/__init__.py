"""Typed read views of what the vault holds: agents, notes, skills."""

from __future__ import annotations
