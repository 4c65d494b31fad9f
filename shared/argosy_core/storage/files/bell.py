"""The bell over files: rings of this process at once, other processes' and people's edits by watching the folder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

IGNORED = frozenset({".argosy", ".git", ".obsidian", ".versions"})
START_AFTER_SECONDS = 0.3
ANYTHING = frozenset({""})
Heard = Callable[[frozenset[str]], None]


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
        self._tell(paths)

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
        from watchfiles import watch

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
                self._tell_all(ANYTHING)
            if batch:
                self._tell(self._relative(path for _, path in batch))
        self._armed = False

    def _relative(self, paths: Iterable[str]) -> set[str]:
        prefix = f"{self._root}/"
        found = {path.removeprefix(prefix) for path in paths if path.startswith(prefix)}
        return {path for path in found if not IGNORED & set(path.split("/")) and not path.endswith(".tmp")}

    def _tell_all(self, changed: frozenset[str]) -> None:
        with self._guard:
            listeners = list(self._listeners.values())
        for _, heard in listeners:
            heard(changed)

    def _tell(self, paths: Iterable[str]) -> None:
        changed = frozenset(paths)
        with self._guard:
            listeners = list(self._listeners.values())
        for prefix, heard in listeners:
            mine = frozenset(p for p in changed if p.startswith(prefix))
            if mine:
                heard(mine)
