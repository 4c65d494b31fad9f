"""A store whose bell or leases are another's: a vault in one place, told of and locked through a Redis."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from anyio import CancelScope, to_thread

from argosy_core.storage.address import Address
from argosy_core.storage.base import Archive, Bell, Chain, Documents, Files, Items, Leases, Store

T = TypeVar("T")


class WatchingBell(Bell, Protocol):
    """A bell that somebody starts and stops."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


class JoinedBell:
    """Rings go through *other*; what is heard comes from it and, say from people's edits, from the store's *own*."""

    def __init__(self, own: Bell, other: WatchingBell) -> None:
        self._own = own
        self._other = other

    @property
    def watching(self) -> bool:
        return self._other.watching

    @property
    def problem(self) -> str | None:
        return self._other.problem

    def ring(self, *paths: str) -> None:
        self._other.ring(*paths)

    def listen(self, prefix: str, heard: Callable[[frozenset[str]], None]) -> Callable[[], None]:
        with ExitStack() as stops:
            stops.callback(self._own.listen(prefix, heard))
            stops.callback(self._other.listen(prefix, heard))
            return stops.pop_all().close


class ComposedStore:
    """*store* with another bell or other leases, which are at *urls*; *close* ends what those hold open, and is called
    last."""

    def __init__(
        self,
        store: Store,
        *,
        bell: WatchingBell | None = None,
        leases: Leases | None = None,
        urls: tuple[str | None, str | None] = (None, None),
        close: Callable[[], None] | None = None,
    ) -> None:
        self._store = store
        self._urls = urls
        self._other_bell = bell
        self._close = close
        self._users = 0
        self._guard = threading.Lock()
        self.bell: Bell = JoinedBell(store.bell, bell) if bell is not None else store.bell
        self.leases: Leases = leases if leases is not None else store.leases

    @property
    def address(self) -> Address:
        return replace(self._store.address, bell=self._urls[0], leases=self._urls[1])

    @property
    def documents(self) -> Documents:
        return self._store.documents

    @property
    def files(self) -> Files:
        return self._store.files

    @property
    def chain(self) -> Chain:
        return self._store.chain

    @property
    def items(self) -> Items:
        return self._store.items

    @property
    def archive(self) -> Archive:
        return self._store.archive

    @property
    def index_database(self) -> Any | None:
        return self._store.index_database

    @property
    def root(self) -> Path:
        return self._store.root

    def state_path(self, name: str) -> Path:
        return self._store.state_path(name)

    def shared(self, name: str, make: Callable[[], T], close: Callable[[T], None]) -> T:
        return self._store.shared(name, make, close)

    def on_close(self, closer: Callable[[], None]) -> None:
        self._store.on_close(closer)

    def start(self) -> None:
        self._store.start()
        self._users += 1
        if self._users == 1 and self._other_bell is not None:
            self._other_bell.start()

    async def stop(self) -> None:
        self._users -= 1
        if self._users == 0 and self._other_bell is not None:
            with CancelScope(shield=True):
                await to_thread.run_sync(self._other_bell.stop)
        await self._store.stop()

    def close(self) -> None:
        self._store.close()
        with self._guard:
            close, self._close = self._close, None
        if close is not None:
            close()
