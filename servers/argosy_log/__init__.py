"""The log server: the fleet's one history, appended, queried, traced and verified."""

from __future__ import annotations
