"""The scheduler server: time, files and events that become work, one Markdown file a trigger."""

from __future__ import annotations
