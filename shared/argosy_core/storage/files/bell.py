"""The bell over files: rings of this process at once, other processes' and people's edits by watching the folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from argosy_core.storage.listening_bell import ANYTHING, ListeningBell

IGNORED = frozenset({".argosy", ".git", ".obsidian", ".versions"})
FILE_SUFFIXES = (".md", ".jsonl", ".json", ".yaml", ".yml", ".txt")
MAX_NAMED = 1000  # changes beyond that are one: anything
START_AFTER_SECONDS = 0.3


class FileBell(ListeningBell):
    """`Bell` over a folder."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root

    def _watch_on(self) -> None:
        # The first question should not wait for the import; what changes meanwhile is caught by the first ring.
        if self._stop.wait(START_AFTER_SECONDS):
            return
        from watchfiles import Change, watch

        changes = watch(
            self._root,
            watch_filter=None,
            debounce=200,
            step=50,
            rust_timeout=500,
            yield_on_timeout=True,
            stop_event=self._stop,
            raise_interrupt=False,
            ignore_permission_denied=True,
        )
        for batch in changes:
            if not self._armed:
                self._arm()  # the first round shows that watching has begun
            made = {path for change, path in batch if change == Change.added}
            self._check_watched(made)
            gone = {path for change, path in batch if change == Change.deleted}
            changed = self._relative({*made, *gone, *(path for _, path in batch)})
            self._tell(changed | self._below(self._relative(made)) | _beyond(self._relative(gone)))

    def _check_watched(self, made: Iterable[str]) -> None:
        """A new folder that got no watch because there are no more is silent for ever, and nothing says so: so another
        watch is asked for. Raises OSError when there is none to be had."""
        from watchfiles import watch

        folder = next((path for path in made if os.path.isdir(path)), None)
        if folder is None:
            return
        asked = watch(
            folder, watch_filter=None, recursive=False, debounce=1, step=1, rust_timeout=1, yield_on_timeout=True,
            raise_interrupt=False, ignore_permission_denied=True,
        )  # fmt: skip
        try:
            next(asked, None)
        except FileNotFoundError:
            return  # it went away again
        finally:
            asked.close()

    def _relative(self, paths: Iterable[str]) -> frozenset[str]:
        prefix = f"{self._root}/"
        found = {path.removeprefix(prefix) for path in paths if path.startswith(prefix)}
        return frozenset(path for path in found if not IGNORED & set(path.split("/")) and not path.endswith(".tmp"))

    def _below(self, made: Iterable[str]) -> frozenset[str]:
        """The files in folders just made: what came in with them, or before they were watched, rings nobody."""
        found: list[str] = []
        for path in made:
            for folder, folders, files in os.walk(self._root / path):
                folders[:] = [name for name in folders if name not in IGNORED]
                found += [f"{folder}/{name}" for name in files]
                if len(found) > MAX_NAMED:
                    return ANYTHING
        return self._relative(found)


def _beyond(gone: Iterable[str]) -> frozenset[str]:
    """Nobody can say any more whether what is gone was a folder, and what was in it."""
    return ANYTHING if any(not path.endswith(FILE_SUFFIXES) for path in gone) else frozenset()
