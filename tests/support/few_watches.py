"""Watching on a system with room for so many folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from argosy_core.storage.files import bell


class FewWatches:
    """``bell.watcher_of`` on a system with room for so many folders: as there, what is made later fails silently."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._open = bell.watcher_of
        self._watched: set[str] = set()

    def __call__(self, folder: Path, *, recursive: bool = True) -> Any:
        self._take(str(folder))
        if recursive:
            for above, names, _ in os.walk(folder):
                for name in names:
                    self._take(f"{above}/{name}")
        return _Watcher(self, self._open(folder, recursive=recursive))

    def follow(self, made: str) -> None:
        """What is in a folder just made gets its watch with it: not all of it is named in a change of its own."""
        for folder, _, _ in os.walk(made):
            if len(self._watched) < self.most:
                self._watched.add(folder)

    def _take(self, folder: str) -> None:
        if len(self._watched) >= self.most:
            raise OSError(f"OS file watch limit reached. about [{folder!r}]")
        self._watched.add(folder)


class _Watcher:
    """A watcher whose folders made later count."""

    def __init__(self, few: FewWatches, inner: Any) -> None:
        self._few = few
        self._inner = inner

    def watch(self, *paces: Any) -> Any:
        changes = self._inner.watch(*paces)
        for _, path in changes if isinstance(changes, set) else ():
            if os.path.isdir(path):
                self._few.follow(path)
        return changes

    def close(self) -> None:
        self._inner.close()

    def __enter__(self) -> _Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
