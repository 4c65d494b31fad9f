"""A document and the event that tells of it, written together where the substrate can.

Files do both in one step of one thread; a database may do them in one transaction. Elsewhere one follows the other. The
document comes first in every case: an event tells of what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeGuard, runtime_checkable

from argosy_core.storage.base import ANY, Content, Expect, Store


@dataclass(frozen=True, slots=True)
class Telling:
    """The event to append to *stream* as *writer*: what *tell* makes of the document as it was written."""

    stream: str
    writer: str
    tell: Callable[[Content], Mapping[str, Any]]
    key: str | None = None


@runtime_checkable
class WritesLogged(Protocol):
    """A store that does both at once."""

    async def write_logged(
        self, path: str, data: bytes, telling: Telling, *, expect: Expect = ANY, keep_version: bool = False
    ) -> Content:
        """As `write_logged` below."""
        ...


async def write_logged(
    store: Store, path: str, data: bytes, telling: Telling, *, expect: Expect = ANY, keep_version: bool = False
) -> Content:
    """`Documents.write`, then `Chain.append`: both are durable when this returns. Raises what either raises; when the
    append fails, the document stays written."""
    if _does_both(store):
        return await store.write_logged(path, data, telling, expect=expect, keep_version=keep_version)
    content = await store.documents.write(path, data, expect=expect, keep_version=keep_version)
    await store.chain.append(telling.stream, telling.writer, telling.tell(content), key=telling.key)
    return content


def _does_both(store: Store) -> TypeGuard[WritesLogged]:
    return _is_of_both(type(store))


@cache  # looking for a protocol's methods takes as long as a small write's own steps
def _is_of_both(kind: type[Store]) -> bool:
    return issubclass(kind, WritesLogged)
