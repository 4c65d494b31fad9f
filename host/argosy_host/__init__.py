"""The host: composes the servers, runs agents on them, and is the command line."""

from __future__ import annotations
