"""What every open store does beside its primitives: things shared over it, and who uses it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from anyio import CancelScope, to_thread

from argosy_core.canonical import sha256_hex
from argosy_core.storage.address import Address
from argosy_core.vault import STATE_FOLDER

T = TypeVar("T")


def state_folder(root: Path, address: Address) -> Path:
    """Where rebuildable state of the store at *address* lies below *root*; each store that one folder serves has its
    own, since what is known of one says nothing of another."""
    digest = sha256_hex(address.shown.encode("utf-8", "surrogatepass"))[:12]
    folder = root / STATE_FOLDER / f"{address.kind}-{digest}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


class OpenStore(ABC):
    """The part of `Store` that is the same over every substrate."""

    index_database: Any | None = None

    def __init__(self) -> None:
        self._users = 0
        self._guard = threading.Lock()
        self._shared: dict[str, Any] = {}
        self._closers: list[Callable[[], None]] = []

    @abstractmethod
    def _begin(self) -> None:
        """Begin background work."""

    @abstractmethod
    def _rest(self) -> None:
        """End background work; it may begin again. Blocks."""

    @abstractmethod
    def _release(self) -> None:
        """Let go of files and threads. Idempotent."""

    def start(self) -> None:
        """Watch until as many `stop` calls came as there were `start` calls."""
        self._users += 1
        if self._users == 1:
            self._begin()

    async def stop(self) -> None:
        """End what `start` began."""
        self._users -= 1
        if self._users == 0:
            with CancelScope(shield=True):
                await to_thread.run_sync(self._rest)

    def shared(self, name: str, make: Callable[[], T], close: Callable[[T], None]) -> T:
        """The one *name* of this store, made by whoever asks first: several instances of a server keep one index.

        *close* is called with it when the store closes.
        """
        with self._guard:
            if name not in self._shared:
                made = make()
                self._shared[name] = made
                self._closers.append(lambda: close(made))
            found: T = self._shared[name]
            return found

    def on_close(self, closer: Callable[[], None]) -> None:
        """Call *closer* when the store closes: what servers keep open over it ends with it."""
        self._closers.append(closer)

    def close(self) -> None:
        """Close what is shared, the newest first, and then the store. Idempotent."""
        closers, self._closers = self._closers, []
        for closer in reversed(closers):
            closer()
        self._release()
