"""Which reading calls go before the judge, by what the policy files say at the moment of the call."""

from __future__ import annotations

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError
from argosy_core.off_loop import off_loop
from argosy_core.storage.base import Files
from argosy_core.views.agents import load_agent
from argosy_core.views.vault_reader import VaultReader
from argosy_host.reading import JudgedReads, judged_reads

# A file changed twice within one tick of its clock may keep its stamp: so young a file is read every time.
SETTLED_AFTER_SECONDS = 2
_FLEETS, _AGENTS = ("judges.md",), ("judges.md", "tools.md")
_Stamps = tuple[tuple[int, int] | None, ...]


class JudgedReading:
    """A run asks once, at its start; a client may stay for days, so here every call looks whether a file changed."""

    def __init__(self, files: Files, agent: str, clock: Clock) -> None:
        self._files = files
        self._agent = agent
        self._clock = clock
        self._kept: tuple[_Stamps, JudgedReads] | None = None

    async def now(self) -> JudgedReads:
        """What is judged now; nothing while the files cannot be read: that closes acting, not reading."""
        return await off_loop(self._look)

    def _look(self) -> JudgedReads:
        try:
            return self._read()
        except ArgosyError:
            return JudgedReads()

    def _read(self) -> JudgedReads:
        stamps = self._files.stamps("", _FLEETS) + self._files.stamps(self._agent, _AGENTS)
        if self._kept is not None and self._kept[0] == stamps:
            return self._kept[1]
        reader = VaultReader(self._files)
        found = judged_reads(reader, load_agent(reader, self._agent))
        settled_ns = (self._clock.now().timestamp() - SETTLED_AFTER_SECONDS) * 1e9
        if all(stamp is None or stamp[0] < settled_ns for stamp in stamps):
            self._kept = stamps, found
        return found
