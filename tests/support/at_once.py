"""Stores whose calls run at once in the caller's thread, so that a test decides every step."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from argosy_core.storage.document_leases import Step
from argosy_core.storage.files.items import FileItems
from argosy_core.storage.files.leases import FileLeases
from argosy_core.storage.item_session import ItemSession
from argosy_core.storage.sqlite.database import Database
from argosy_core.storage.sqlite.items import SqliteItems

T = TypeVar("T")


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """What *work*, which waits for nothing, comes to."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits")


class Now:
    """The coroutine functions of *inner* as plain functions."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        found = getattr(self.inner, name)
        return lambda *given, **more: at_once(found(*given, **more))


class ItemsAtOnce(FileItems):
    """`FileItems` without a thread."""

    async def _run(self, work: Callable[[ItemSession], T]) -> T:
        return self._run_here(work)


class LeasesAtOnce(FileLeases):
    """`FileLeases` without a thread."""

    async def _step(self, path: str, step: Step) -> None:
        self._step_here(path, step)

    async def _read(self, path: str) -> bytes | None:
        return self._content(path)


class DatabaseAtOnce(Database):
    """`Database` that writes what is submitted by itself."""

    async def submit(self, work: Callable[..., T]) -> T:
        return self.write(work)


__all__ = ["DatabaseAtOnce", "ItemsAtOnce", "LeasesAtOnce", "Now", "SqliteItems", "at_once"]
