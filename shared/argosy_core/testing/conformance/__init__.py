"""What a store must keep of its promises, to be run against anybody's store; no test framework needed.

Each module has ``CHECKS``, a tuple of coroutine functions; the docstring of each one is the promise in a sentence, a
broken promise is an AssertionError that says what was promised and what came. A check is given a function that opens a
handle on an empty vault with the agents `STREAMS`; each call opens one more handle on the same data, as another
process would. Give every check a vault of its own::

    for check in documents.CHECKS:
        anyio.run(check, opener_of_my_documents())

The checks of ``cancelling``, ``restarting`` and ``failing`` are given openers of a whole store; that of ``failing`` has
``faults``, with which the store's author lets the Nth call below the store fail (`failing.Faults`).

``TAMPER_CHECKS`` (of chain) and ``FILE_CHECKS`` need more: a way behind the store's back.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol, TypeVar

from argosy_core.clock import Clock

T_co = TypeVar("T_co", covariant=True)
STREAM = "harbor"
OTHER_STREAM = "reef"
UNICODE_STREAM = "журнал 日本語の航海日誌を書き続ける船長"
FLEET_STREAM = "_fleet"
STREAMS = (STREAM, OTHER_STREAM, UNICODE_STREAM)


class Opener(Protocol[T_co]):
    """Opens a handle on the data of one check; *clock* None is the machine's own."""

    def __call__(self, clock: Clock | None = None) -> AbstractAsyncContextManager[T_co]: ...


class Tamperer(Protocol):
    """Reads and changes the stored entries of a stream behind the store's back, each as its JSON line."""

    async def lines(self, stream: str) -> Sequence[bytes]:
        """The entries of *stream* in their order, without newlines."""
        ...

    async def put(self, stream: str, lines: Sequence[bytes]) -> None:
        """Make *lines* all that is stored of *stream*."""
        ...


class FolderOpener(Opener[T_co], Protocol):
    """An opener over a folder that a person can reach too."""

    @property
    def root(self) -> Path:
        """The vault's folder."""
        ...
