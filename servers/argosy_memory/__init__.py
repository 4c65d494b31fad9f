"""The memory server: notes an agent keeps, a wiki it distils, search and recall over both."""

from __future__ import annotations
