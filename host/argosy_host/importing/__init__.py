"""Bringing what other programs keep into an agent's folder: read, planned, and only then written."""

from __future__ import annotations

KINDS = ("basic-memory", "server-memory", "obsidian", "chatgpt", "claude")
