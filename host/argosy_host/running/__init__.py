"""The host as a server: runs that clients start, watch and end, and every agent as a tool."""

from __future__ import annotations
