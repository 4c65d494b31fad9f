"""Other programs that speak MCP: where each keeps its configuration, and what stands there for this installation."""

from __future__ import annotations
