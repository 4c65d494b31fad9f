"""The queue server: work that waits, who works on it, and how it ended."""

from __future__ import annotations
