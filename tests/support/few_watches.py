"""Watching on a system with room for so many folders."""

from __future__ import annotations

import errno

import pytest

from argosy_core.storage.files import inotify


def few_watches(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Every watcher made from now on gets *most* watches, and then is refused as by the kernel."""

    class Few(inotify.Inotify):
        def __init__(self) -> None:
            super().__init__()
            self._watches: set[int] = set()

        def add(self, folder: str) -> int:
            if len(self._watches) >= most:
                raise OSError(errno.ENOSPC, inotify.LIMITS[errno.ENOSPC], folder)
            self._watches.add(number := super().add(folder))
            return number

    monkeypatch.setattr(inotify, "Inotify", Few)
