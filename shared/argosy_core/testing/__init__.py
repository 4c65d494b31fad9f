"""Proof for anybody's implementation: conformance suites and fakes, without a test framework."""

from __future__ import annotations
