"""The goal server: what is being worked towards, in steps, one Markdown file a goal."""

from __future__ import annotations
