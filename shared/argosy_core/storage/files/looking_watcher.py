"""Changes as `watchfiles` collects them, where it is not the kernel that wakes who waits for them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from watchfiles import Change
from watchfiles._rust_notify import RustNotify

from argosy_core.storage.files.watching import IGNORED, MAX_NAMED, MAX_STEPS, STEP_MS, is_ignored
from argosy_core.storage.listening_bell import ANYTHING

FILE_SUFFIXES = (".md", ".jsonl", ".json", ".yaml", ".yml", ".txt")
DEBOUNCE_MS = STEP_MS * MAX_STEPS
POLL_MS = 300  # where changes must be looked for
# How often it is looked whether something changed. A core that sleeps takes a millisecond to wake, so a vault in which
# nothing happened for three seconds is left alone between two short looks.
ROUND_MS, QUIET_ROUND_MS = 500, 1
QUIET_ROUNDS = 6
PAUSE_SECONDS = 0.5


class LookingWatcher:
    """`Watcher` on `watchfiles`' documented lower layer: its `watch` looks at one pace for ever."""

    def __init__(self, root: Path, *, must_poll: bool) -> None:
        self._root = root
        self._must_poll = must_poll
        self._stop = threading.Event()
        self._quiet = 0
        self._watcher = self._watching(root, recursive=True)

    def changes(self) -> frozenset[str] | None:
        is_quiet = self._quiet >= QUIET_ROUNDS
        if is_quiet and self._stop.wait(PAUSE_SECONDS):
            return None
        found = self._watcher.watch(DEBOUNCE_MS, STEP_MS, QUIET_ROUND_MS if is_quiet else ROUND_MS, self._stop)
        if found in ("stop", "signal"):
            return None
        if not isinstance(found, set):
            self._quiet += 1
            return frozenset()
        self._quiet = 0
        return self._changed(found)

    def end(self) -> None:
        self._stop.set()

    def close(self) -> None:
        self._watcher.close()

    def _watching(self, folder: Path, *, recursive: bool) -> RustNotify:
        return RustNotify([str(folder)], False, self._must_poll, POLL_MS, recursive, True)

    def _changed(self, changes: set[tuple[int, str]]) -> frozenset[str]:
        made = {path for change, path in changes if change == Change.added}
        self._check_watched(made)
        gone = {path for change, path in changes if change == Change.deleted}
        changed = self._relative({path for _, path in changes})
        return changed | self._below(self._relative(made)) | _beyond(self._relative(gone))

    def _check_watched(self, made: Iterable[str]) -> None:
        """A new folder that got no watch because there are no more is silent for ever, and nothing says so: so another
        watch is asked for. Raises OSError when there is none to be had."""
        folder = next((path for path in made if os.path.isdir(path)), None)
        if folder is not None:
            with suppress(FileNotFoundError):  # it went away again
                self._watching(Path(folder), recursive=False).close()

    def _relative(self, paths: Iterable[str]) -> frozenset[str]:
        prefix = f"{self._root}/"
        found = {path.removeprefix(prefix) for path in paths if path.startswith(prefix)}
        return frozenset(path for path in found if not any(map(is_ignored, path.split("/"))))

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
