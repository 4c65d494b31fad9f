"""The secrets server: names to anyone, values to the host alone."""

from __future__ import annotations
