"""The base of every server: one function turns a server module into a program."""

from __future__ import annotations
