"""Files that triggers watch: the bell says where to look, the files' stamps say what changed."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from argosy_core.errors import ArgosyError
from argosy_core.storage.base import Documents
from argosy_scheduler.firing import Firing
from argosy_scheduler.globs import Glob
from argosy_scheduler.trigger_file import Trigger
from argosy_scheduler.when import Watch

# An editor that saves three times in a row means one change.
SETTLES_AFTER = timedelta(seconds=1)
_Stamp = tuple[int, int]


@dataclass(slots=True)
class _Tree:
    """The files of one trigger: *known* as they were dealt with, *moving* those that changed, and when they did."""

    trigger: Trigger
    glob: Glob
    known: dict[str, _Stamp]
    moving: dict[str, tuple[_Stamp, datetime]] = field(default_factory=dict[str, tuple[_Stamp, datetime]])


class Watcher:
    """Finds changed files. `heard` may be called from any thread."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._trees: dict[str, _Tree] = {}
        self._dirty: set[str] = set()
        self._guard = threading.Lock()

    @property
    def is_needed(self) -> bool:
        """Whether any trigger watches files."""
        return bool(self._trees)

    def concerns(self, path: str) -> bool:
        """Whether a change of *path* may be one that a trigger waits for."""
        return any(_touches(tree.glob.root, path) for tree in list(self._trees.values()))

    def heard(self, paths: Iterable[str]) -> None:
        """Look at *paths* next time; ``""`` is everything."""
        with self._guard:
            self._dirty.update(paths)

    async def add(self, trigger: Trigger, handled_until: datetime) -> list[Firing]:
        """Watch for *trigger* from now on; returns what changed after *handled_until* while nobody watched."""
        assert isinstance(trigger.when, Watch)
        old = self._trees.get(trigger.name)
        if old is not None and old.glob == trigger.when.glob:
            old.trigger = trigger
            return []
        tree = _Tree(trigger, trigger.when.glob, await self._stamps(trigger.when.glob))
        self._trees[trigger.name] = tree
        changed = [_firing(path, stamp) for path, stamp in tree.known.items()]
        return sorted((f for f in changed if f.slot > handled_until), key=_order)

    def drop(self, name: str) -> None:
        """Watch no more for the trigger *name*."""
        self._trees.pop(name, None)

    async def poll(self, now: datetime, *, everything: bool = False) -> list[tuple[Trigger, Firing]]:
        """What has changed and settled; with *everything* also where the bell said nothing."""
        with self._guard:
            dirty, self._dirty = self._dirty, set()
        found: list[tuple[Trigger, Firing]] = []
        for tree in list(self._trees.values()):
            mine = {path for path in dirty if _touches(tree.glob.root, path)}
            if everything or not all([await self._look_at(tree, path, now) for path in sorted(mine)]):
                await self._look(tree, now)
            found += [(tree.trigger, firing) for firing in await self._settled(tree, now)]
        return found

    def next_look(self) -> datetime | None:
        """When a file that is changing may have settled."""
        times = [since for tree in self._trees.values() for _, since in tree.moving.values()]
        return min(times) + SETTLES_AFTER if times else None

    async def _look_at(self, tree: _Tree, path: str, now: datetime) -> bool:
        """Take note of one file; False when *path* is none (any more), so that the whole tree must be looked at."""
        info = await self._documents.info(path) if path else None
        if info is not None and tree.glob.matches(path):
            self._note(tree, path, info.stamp, now)
        return info is not None

    async def _look(self, tree: _Tree, now: datetime) -> None:
        stamps = await self._stamps(tree.glob)
        for path in tree.known.keys() - stamps.keys():
            del tree.known[path]
        for path, stamp in stamps.items():
            self._note(tree, path, stamp, now)

    def _note(self, tree: _Tree, path: str, stamp: _Stamp, now: datetime) -> None:
        if stamp != tree.known.get(path) and tree.moving.get(path, (None,))[0] != stamp:
            tree.moving[path] = stamp, now

    async def _settled(self, tree: _Tree, now: datetime) -> list[Firing]:
        found: list[Firing] = []
        for path, (stamp, since) in list(tree.moving.items()):
            if since <= now < since + SETTLES_AFTER:
                continue
            info = await self._documents.info(path)
            if info is not None and info.stamp != stamp:
                tree.moving[path] = info.stamp, now
                continue
            del tree.moving[path]
            if info is not None:
                tree.known[path] = stamp
                found.append(_firing(path, stamp, now))
        return sorted(found, key=_order)

    async def _stamps(self, glob: Glob) -> dict[str, _Stamp]:
        try:
            infos = await self._documents.list(glob.root, deep=True)
        except ArgosyError:
            return {}  # a link or a file stands where the folder should be
        return {info.path: info.stamp for info in infos if glob.matches(info.path)}


def _firing(path: str, stamp: _Stamp, seen: datetime | None = None) -> Firing:
    changed = datetime.fromtimestamp(stamp[0] // 1_000_000 / 1000, UTC)
    return Firing(changed, seen or changed, subject=f"{path}@{stamp[0]}-{stamp[1]}", about={"path": path})


def _touches(root: str, path: str) -> bool:
    """Whether *path* lies in *root*, or is a folder around it that may have been moved here as a whole."""
    return not path or path == root or path.startswith(f"{root}/") or root.startswith(f"{path}/")


def _order(firing: Firing) -> tuple[datetime, str]:
    return firing.slot, firing.subject or ""


def newest(firings: Sequence[Firing]) -> Firing:
    """The one that happened last."""
    return max(firings, key=_order)
