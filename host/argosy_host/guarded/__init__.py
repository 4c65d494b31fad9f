"""What stands between a client of the gateway and the fleet: the gate of runs, for a person's client."""

from __future__ import annotations
