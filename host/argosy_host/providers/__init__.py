"""Models the loop can talk to."""

from __future__ import annotations
