"""Watching on a system with room for so many folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import watchfiles


class FewWatches:
    """``watchfiles.watch`` on a system with room for so many folders: as there, what is made later fails silently."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._watch = watchfiles.watch
        self._watched: set[str] = set()

    def __call__(self, root: Path | str, *, recursive: bool = True, **options: Any) -> Any:
        self._take(str(root))
        if recursive:
            for folder, names, _ in os.walk(root):
                for name in names:
                    self._take(f"{folder}/{name}")
        return self._told(root, self._watch(root, recursive=recursive, **options))

    def _told(self, root: Path | str, changes: Any) -> Any:
        for batch in changes:
            for _, path in batch:
                if os.path.isdir(path):
                    self._follow(path)
            yield batch

    def _follow(self, made: str) -> None:
        """What is in a folder just made gets its watch with it: not all of it is named in a change of its own."""
        for folder, _, _ in os.walk(made):
            if len(self._watched) < self.most:
                self._watched.add(folder)

    def _take(self, folder: str) -> None:
        if len(self._watched) >= self.most:
            raise OSError(f"OS file watch limit reached. about [{folder!r}]")
        self._watched.add(folder)
