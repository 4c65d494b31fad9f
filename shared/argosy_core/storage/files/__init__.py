"""The default substrate: a folder of Markdown and JSONL that its owner can read, grep and diff."""

from __future__ import annotations
