"""One SQLite database: for machines without a folder that people edit, and for fast durable queues."""

from __future__ import annotations
