"""The bell over files: rings of this process at once, other processes' and people's edits by watching the folder."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from argosy_core.storage.files.watching import Watcher, watcher_of
from argosy_core.storage.listening_bell import ListeningBell

START_AFTER_SECONDS = 0.1


class FileBell(ListeningBell):
    """`Bell` over a folder."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root
        self._watcher: Watcher | None = None

    def _watch_on(self) -> None:
        # The first question should not wait for a walk over the folders.
        if self._stop.wait(START_AFTER_SECONDS):
            return
        with closing(watcher_of(self._root)) as watcher:
            self._watcher = watcher
            if self._stop.is_set():  # it was, before there was a watcher to end
                return
            self._arm()  # what changed before it is caught by this first ring
            while (changed := watcher.changes()) is not None:
                self._tell(changed)

    def _end(self) -> None:
        super()._end()
        if self._watcher is not None:
            self._watcher.end()
