"""Leases and bell in Redis, beside a store that keeps the rest."""

from __future__ import annotations
