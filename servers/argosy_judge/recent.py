"""What an agent did lately, as a judge beyond the rules is told: read once for a case, and the same until it is judged.

A model is asked in one round and answers in the next, and a revision is judged once more: other runs may end in between
and must not change what the case is.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError
from argosy_core.off_loop import about_to_wait
from argosy_core.storage.base import Files

KEPT_SECONDS = 600.0
MAX_KEPT = 1_000
Runs = Sequence[Mapping[str, Any]]
_Key = tuple[str, str | None, str]


class RecentRuns:
    """Gives the last runs of an agent that have ended."""

    def __init__(self, files: Files, clock: Clock) -> None:
        self._files = files
        self._clock = clock
        self._kept: dict[_Key, tuple[float, Runs]] = {}
        self._guard = threading.Lock()

    def of(self, agent: str, run: str | None, call: str) -> Runs:
        """The last runs of *agent* but for *run*, whose *call* is judged. Blocks the first time; never raises."""
        now, key = self._clock.monotonic(), (agent, run, call)
        with self._guard:
            kept = self._kept.get(key)
        if kept is not None and now - kept[0] <= KEPT_SECONDS:
            return kept[1]
        found = self._read(agent, run)
        with self._guard:
            self._kept.pop(key, None)
            if len(self._kept) >= MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            return self._kept.setdefault(key, (now, found))[1]

    def forget(self, agent: str, run: str | None, call: str) -> None:
        """The case of *call* is judged."""
        with self._guard:
            self._kept.pop((agent, run, call), None)

    def _read(self, agent: str, run: str | None) -> Runs:
        about_to_wait()
        # What the rules decide alone does without these.
        from argosy_core.secrets.redaction import PROCESS
        from argosy_core.views.ended_runs import ended_runs

        try:
            found = ended_runs(self._files, agent, run)
        except ArgosyError:
            return ()  # the log's own doctor names what is wrong with it
        return tuple(PROCESS.redact_json(asdict(ended)) for ended in found)
