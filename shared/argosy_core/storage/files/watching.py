"""What notices changes in a vault's folder: the kernel's own word where it gives one, else a library that looks."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Protocol

IGNORED = frozenset({".argosy", ".git", ".obsidian", ".versions"})
MAX_NAMED = 1000  # changes beyond that are one: anything
# What a program writes in several steps is told once: after a step in which nothing more happened, or after the last.
STEP_MS, MAX_STEPS = 50, 10


class Watcher(Protocol):
    """Watches from the moment it is made."""

    def changes(self) -> frozenset[str] | None:
        """Wait until something changed: vault-relative paths, `ANYTHING` when nobody can say which; perhaps none.

        None once `end` was called. Raises OSError when no more can be noticed.
        """
        ...

    def end(self) -> None:
        """Let `changes` return, from any thread and at any time."""
        ...

    def close(self) -> None:
        """Give up what watching takes, when `changes` is not running."""
        ...


def watcher_of(root: Path) -> Watcher:
    """A watcher of all of *root*. Raises OSError when there are no watches left for it."""
    if sys.platform == "linux" and not _must_look():
        from argosy_core.storage.files.told_watcher import ToldWatcher

        return ToldWatcher(root)
    from argosy_core.storage.files.looking_watcher import LookingWatcher

    return LookingWatcher(root, must_poll=_must_look())


def is_ignored(name: str) -> bool:
    """Whether changes of a file or folder of this name are nobody's business: they are ours, or half written."""
    return name in IGNORED or name.endswith(".tmp")


def _must_look() -> bool:
    """As `watchfiles` decides: where the system tells of no changes (Windows' disks under WSL), or one asks for it."""
    asked = os.environ.get("WATCHFILES_FORCE_POLLING", "").lower()
    if asked:
        return asked not in ("false", "disable", "disabled")
    return "microsoft-standard" in platform.uname().release
