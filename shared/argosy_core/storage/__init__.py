"""Five storage primitives; a substrate is added once, by implementing them."""

from __future__ import annotations
