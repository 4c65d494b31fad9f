"""Which files hold triggers; each is read again only when its stamp changed."""

from __future__ import annotations

from dataclasses import dataclass

from anyio import to_thread

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError, NotFound
from argosy_core.storage.base import Documents, FileInfo
from argosy_scheduler.trigger_file import FOLDER, Trigger, name_of, read_trigger

# A file changed twice within one tick of its clock may keep its stamp: so young a file is read every time.
SETTLED_AFTER_SECONDS = 2
_Known = tuple[tuple[int, int], Trigger | ArgosyError]


@dataclass(frozen=True, slots=True)
class Loaded:
    """Every trigger that can be read, in name order, and what is wrong with the others."""

    triggers: tuple[Trigger, ...] = ()
    broken: tuple[ArgosyError, ...] = ()


class TriggerFiles:
    """Reads all triggers of the vault."""

    def __init__(self, documents: Documents, clock: Clock) -> None:
        self._documents = documents
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._infos: list[FileInfo] = []
        self._loaded = Loaded()

    async def load(self) -> Loaded:
        """The triggers as they stand; the same object while nothing changed."""
        infos = list(await self._documents.list(FOLDER, ".md"))
        settled_ns = int((self._clock.now().timestamp() - SETTLED_AFTER_SECONDS) * 1e9)
        if infos == self._infos and all(info.stamp[0] < settled_ns for info in infos):
            return self._loaded
        known: dict[str, _Known] = {}
        for info in infos:
            if name_of(info.path):
                kept = self._known.get(info.path)
                is_current = kept is not None and kept[0] == info.stamp and info.stamp[0] < settled_ns
                found = kept if is_current else await self._read(info)
                if found is not None:
                    known[info.path] = found
        self._known, self._infos = known, [FileInfo(path, stamp) for path, (stamp, _) in known.items()]
        found_ones = [one for _, one in known.values()]
        self._loaded = Loaded(
            tuple(one for one in found_ones if isinstance(one, Trigger)),
            tuple(one for one in found_ones if isinstance(one, ArgosyError)),
        )
        return self._loaded

    async def _read(self, info: FileInfo) -> _Known | None:
        try:
            content = await self._documents.read(info.path)
        except NotFound:
            return None  # moved away while we read the others
        except ArgosyError as error:
            return info.stamp, error
        try:
            return content.stamp, await to_thread.run_sync(read_trigger, content)
        except ArgosyError as error:
            return content.stamp, error
