"""The desk server: everything that a person must decide, one Markdown file a question."""

from __future__ import annotations
