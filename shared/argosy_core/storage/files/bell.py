"""The bell over files: rings of this process at once, other processes' and people's edits by watching the folder."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from argosy_core.storage.listening_bell import ANYTHING, ListeningBell

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

IGNORED = frozenset({".argosy", ".git", ".obsidian", ".versions"})
FILE_SUFFIXES = (".md", ".jsonl", ".json", ".yaml", ".yml", ".txt")
MAX_NAMED = 1000  # changes beyond that are one: anything
START_AFTER_SECONDS = 0.3
DEBOUNCE_MS = 500
# How often it is looked whether something changed. A core that sleeps takes a millisecond to wake, so a vault in which
# nothing happened for three seconds is looked at less often.
STEP_MS, QUIET_STEP_MS = 50, 250
ROUND_MS = 500
POLL_MS = 300  # where changes must be looked for
QUIET_ROUNDS = 6


def watcher_of(folder: Path, *, recursive: bool = True) -> RustNotify:
    """What collects the changes in *folder*, to be closed. Raises OSError when there are no watches left for it."""
    # `watchfiles.watch` looks at one pace for ever; this is what it stands on, which is documented as well.
    from watchfiles._rust_notify import RustNotify

    return RustNotify([str(folder)], False, _must_poll(), POLL_MS, recursive, True)


def _must_poll() -> bool:
    """As `watchfiles` decides: where the system tells of no changes (Windows' disks under WSL), or one asks for it."""
    asked = os.environ.get("WATCHFILES_FORCE_POLLING", "").lower()
    if asked:
        return asked not in ("false", "disable", "disabled")
    return "microsoft-standard" in platform.uname().release


class FileBell(ListeningBell):
    """`Bell` over a folder."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root

    def _watch_on(self) -> None:
        # The first question should not wait for the import; what changes meanwhile is caught by the first ring.
        if self._stop.wait(START_AFTER_SECONDS):
            return
        quiet = 0
        with watcher_of(self._root) as watcher:
            while True:
                step = STEP_MS if quiet < QUIET_ROUNDS else QUIET_STEP_MS
                changes = watcher.watch(DEBOUNCE_MS, step, ROUND_MS, self._stop)
                if changes in ("stop", "signal"):
                    return
                if not self._armed:
                    self._arm()  # the first round shows that watching has begun
                quiet = 0 if isinstance(changes, set) else quiet + 1
                if isinstance(changes, set):
                    self._changed(changes)

    def _changed(self, changes: set[tuple[int, str]]) -> None:
        from watchfiles import Change

        made = {path for change, path in changes if change == Change.added}
        self._check_watched(made)
        gone = {path for change, path in changes if change == Change.deleted}
        changed = self._relative({path for _, path in changes})
        self._tell(changed | self._below(self._relative(made)) | _beyond(self._relative(gone)))

    def _check_watched(self, made: Iterable[str]) -> None:
        """A new folder that got no watch because there are no more is silent for ever, and nothing says so: so another
        watch is asked for. Raises OSError when there is none to be had."""
        folder = next((path for path in made if os.path.isdir(path)), None)
        if folder is not None:
            with suppress(FileNotFoundError):  # it went away again
                watcher_of(Path(folder), recursive=False).close()

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
