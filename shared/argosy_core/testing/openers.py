"""Naming a store's maker, so that other processes and the command line open the same store.

An opener is a function of texts that gives a `Store`, named as ``module:function`` or ``path/to/file.py:function``. A
keyword argument ``clock`` of it is given the check's clock, where a check brings one.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from argosy_core.clock import Clock, SystemClock
from argosy_core.errors import NotFound
from argosy_core.ids import SystemIds
from argosy_core.storage.base import Store
from argosy_core.storage.files.store import FileStore
from argosy_core.storage.opening import open_store
from argosy_core.testing.conformance import STREAMS
from argosy_core.testing.conformance.suites import WHOLE_STORE
from argosy_core.vault import Vault

Open = Callable[..., Store]
DATABASE = "sqlite:///fleet.sqlite"


def opener(name: str) -> Open:
    """The function that *name* names. Raises NotFound."""
    place, _, function = name.rpartition(":")
    try:
        module = _file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
        found: Open = getattr(module, function)
    except (ImportError, OSError, AttributeError, ValueError) as error:
        hint = "name it as module:function or path/to/file.py:function"
        raise NotFound(f"there is no opener {name[:200]}: {error}", hint=hint) from error
    return found


def _file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class FolderStores:
    """Opens handles on the store that the opener *name* makes of *folder*, on which agents are made first.

    *part* is what of the store a suite is about.
    """

    def __init__(self, name: str, folder: Path, part: str) -> None:
        self.elsewhere: Sequence[str] = (name, str(folder))
        self._open = opener(name)
        self._folder = str(folder)
        self._part = part
        store = self._open(self._folder)
        try:
            for agent in STREAMS:
                # A hidden document makes the agent's folder, and is in no list.
                store.files.replace(f"{agent}/.agent", b"made\n")
        finally:
            store.close()

    @asynccontextmanager
    async def __call__(self, clock: Clock | None = None) -> AsyncGenerator[Any]:
        store = self._open(self._folder, clock=clock) if clock is not None else self._open(self._folder)
        try:
            yield store if self._part in WHOLE_STORE else getattr(store, self._part)
        finally:
            store.close()


def files(folder: str, clock: Clock | None = None) -> Store:
    """The vault's own files. Its locks are waited for by the machine's clock, whatever the store's."""
    return FileStore(Vault(folder), clock or SystemClock(), SystemIds())


def sqlite(folder: str, clock: Clock | None = None) -> Store:
    """A SQLite database in *folder*."""
    return open_store(folder, DATABASE, clock=clock, create=True)
