"""The judge server: whether a proposed action may run, and the policy and class behind each answer."""

from __future__ import annotations
