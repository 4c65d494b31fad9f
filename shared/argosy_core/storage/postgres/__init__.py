"""A vault in PostgreSQL, for many hosts at once. Everything of one vault lies in one schema."""

from __future__ import annotations
