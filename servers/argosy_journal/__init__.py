"""The journal server: what happened, in words, one Markdown file a day."""

from __future__ import annotations
