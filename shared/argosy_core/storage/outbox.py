"""Rings on their way to other processes, gathered while earlier ones are being sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterable
from typing import Any

from argosy_core.storage.listening_bell import ANYTHING

MAX_WAITING = 1_000  # paths; beyond that they are one: anything


class Outbox:
    """Paths that wait to go out. One sender at a time: who is told so by `add` takes until nothing is left."""

    def __init__(self) -> None:
        self._waiting: set[str] = set()
        self._guard = threading.Lock()
        self._is_sending = False
        self._is_empty = threading.Event()
        self._is_empty.set()

    def add(self, paths: Iterable[str]) -> bool:
        """Keep *paths*; whether the caller must see to it that somebody sends."""
        with self._guard:
            self._waiting.update(paths)
            if len(self._waiting) > MAX_WAITING:
                self._waiting = set(ANYTHING)
            if not self._waiting or self._is_sending:
                return False
            self._is_sending = True
            self._is_empty.clear()
            return True

    def take(self) -> set[str]:
        """All that waits; when that is nothing, the sender has ended."""
        with self._guard:
            taken, self._waiting = self._waiting, set()
            if not taken:
                self._is_sending = False
                self._is_empty.set()
            return taken

    def give_up(self) -> None:
        """The sender cannot go on; what it took is lost, and the next ring finds another one."""
        with self._guard:
            self._is_sending = False
            self._is_empty.set()

    def flush(self, wait_seconds: float) -> None:
        """Wait until nothing waits any more."""
        self._is_empty.wait(wait_seconds)


def message_of(sender: str, paths: Collection[str]) -> str:
    """*paths* as *sender* tells them to others."""
    return json.dumps([sender, *sorted(paths)])


def paths_in(message: str | bytes, me: str) -> frozenset[str]:
    """What a message tells; nothing when it is one of mine, or none of ours."""
    try:
        found: Any = json.loads(message)
    except ValueError:
        return frozenset()
    if not isinstance(found, list) or not found or found[0] == me:
        return frozenset()
    return frozenset(part for part in found[1:] if isinstance(part, str))  # pyright: ignore[reportUnknownVariableType]
