"""A bell's listeners, and the thread that notices what other processes change."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

ANYTHING = frozenset({""})
Heard = Callable[[frozenset[str]], None]
logger = logging.getLogger(__name__)


class ListeningBell(ABC):
    """`Bell`. Watching starts with `start` and ends with `stop`; without it only `ring` is heard."""

    def __init__(self) -> None:
        self._listeners: dict[object, tuple[str, Heard]] = {}
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._armed = False
        self._problem: str | None = None

    @abstractmethod
    def _watch_on(self) -> None:
        """Tell what changes until `_stop` is set; call `_arm` once watching has begun."""

    @property
    def watching(self) -> bool:
        return self._armed

    @property
    def problem(self) -> str | None:
        return self._problem

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
        """Watch in a thread until `stop`."""
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
            self._end()
            thread.join(timeout=2.0)

    def _end(self) -> None:
        """Let `_watch_on` return."""
        self._stop.set()

    def _watch(self) -> None:
        self._problem = None
        try:
            self._watch_on()
        except Exception as failure:  # no more watches to be had, the vault is gone: who reads looks for itself
            logger.warning("the vault is not watched; edits by others are noticed when they are read", exc_info=True)
            self._problem = str(failure) or type(failure).__name__
            was_armed, self._armed = self._armed, False
            if was_armed:
                self._tell(ANYTHING)  # nobody knows what was missed before it ended
        finally:
            self._armed = False

    def _arm(self) -> None:
        """Say that watching has begun; nobody knows what changed before it."""
        self._armed = True
        self._tell(ANYTHING)

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
