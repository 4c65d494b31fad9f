"""Sweeps a vault once, some time after a store was started: no start waits for it."""

from __future__ import annotations

import logging
import threading

from argosy_core.errors import ArgosyError
from argosy_core.vault import Vault

START_AFTER_SECONDS = 2.0
logger = logging.getLogger(__name__)


class DraftSweep:
    """One sweep of *vault* in a thread, between `start` and `stop`."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Sweep soon. Once a process is enough: what it leaves itself it removes."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="argosy-sweep", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End it; waits for the thread at most two seconds."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)

    def _run(self) -> None:
        if self._stop.wait(START_AFTER_SECONDS):
            return
        try:
            swept = self._vault.sweep(is_stopped=self._stop.is_set)
        except ArgosyError as failure:  # nothing depends on it
            logger.warning("the vault was not swept: %s", failure)
            return
        if swept:
            logger.info("removed %d files that unfinished writes had left", len(swept))
