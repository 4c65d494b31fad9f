"""The registry server: which agents, skills and servers a vault has, and what each of them says of itself."""

from __future__ import annotations
