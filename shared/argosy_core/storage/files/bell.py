"""The bell over files: rings of this process at once, other processes' and people's edits by watching the folder."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

IGNORED = frozenset({".argosy", ".git", ".obsidian", ".versions"})
FILE_SUFFIXES = (".md", ".jsonl", ".json", ".yaml", ".yml", ".txt")
MAX_NAMED = 1000  # changes beyond that are one: anything
START_AFTER_SECONDS = 0.3
ANYTHING = frozenset({""})
Heard = Callable[[frozenset[str]], None]
logger = logging.getLogger(__name__)


class FileBell:
    """`Bell` over a folder. Watching starts with `start` and ends with `stop`; without it only `ring` is heard."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listeners: dict[object, tuple[str, Heard]] = {}
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._armed = False

    @property
    def watching(self) -> bool:
        return self._armed

    def ring(self, *paths: str) -> None:
        self._tell(frozenset(paths))

    def listen(self, prefix: str, heard: Heard) -> Callable[[], None]:
        token = object()
        with self._guard:
            self._listeners[token] = (prefix, heard)

        def stop() -> None:
            with self._guard:
                self._listeners.pop(token, None)

        return stop

    def start(self) -> None:
        """Watch the folder in a thread until `stop`."""
        with self._guard:
            if self._thread is not None:
                return
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._watch, name="argosy-bell", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End watching; waits for the thread at most two seconds."""
        with self._guard:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._stop.set()
            thread.join(timeout=2.0)

    def _watch(self) -> None:
        # The first question should not wait for the import; what changes meanwhile is caught by the first ring.
        if self._stop.wait(START_AFTER_SECONDS):
            return
        try:
            self._watch_on()
        except Exception:  # no more watches to be had, the vault is gone: who reads looks for itself
            logger.warning("the vault is not watched; edits by others are noticed when they are read", exc_info=True)
        finally:
            self._armed = False

    def _watch_on(self) -> None:
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
                # The first round shows that watching has begun; nobody knows what changed before it.
                self._armed = True
                self._tell(ANYTHING)
            made = {path for change, path in batch if change == Change.added}
            gone = {path for change, path in batch if change == Change.deleted}
            changed = self._relative({*made, *gone, *(path for _, path in batch)})
            self._tell(changed | self._below(self._relative(made)) | _beyond(self._relative(gone)))

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

    def _tell(self, changed: frozenset[str]) -> None:
        with self._guard:
            listeners = list(self._listeners.values())
        for prefix, heard in listeners:
            mine = frozenset(path for path in changed if _concerns(path, prefix))
            try:
                if mine:
                    heard(mine)
            except Exception:  # the others are to hear too
                logger.exception("a listener failed")


def _concerns(path: str, prefix: str) -> bool:
    return not path or path.startswith(prefix) or prefix.startswith(f"{path}/")


def _beyond(gone: Iterable[str]) -> frozenset[str]:
    """Nobody can say any more whether what is gone was a folder, and what was in it."""
    return ANYTHING if any(not path.endswith(FILE_SUFFIXES) for path in gone) else frozenset()
