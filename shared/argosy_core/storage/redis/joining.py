"""A store with its bell, its leases or both in a Redis."""

from __future__ import annotations

from contextlib import ExitStack

from argosy_core.clock import Clock
from argosy_core.ids import Ids
from argosy_core.storage.base import Store
from argosy_core.storage.composed import ComposedStore
from argosy_core.storage.redis.bell import RedisBell
from argosy_core.storage.redis.connection import RedisConnection
from argosy_core.storage.redis.leases import RedisLeases
from argosy_core.storage.redis.schema import mark


def with_redis(store: Store, bell: str | None, leases: str | None, clock: Clock, ids: Ids) -> Store:
    """*store* with the bell and the leases at these URLs, None for its own; it is closed when they cannot be.

    Raises InvalidArgument, Conflict (keys of a newer version), Corrupted, Unavailable (no driver, no such Redis).
    """
    if bell is None and leases is None:
        return store
    with ExitStack() as opened:
        opened.callback(store.close)  # closing it twice is harmless
        connections = {url: _reached(url, opened) for url in {bell, leases} if url is not None}
        other_bell = RedisBell(connections[bell], ids) if bell is not None else None
        other_leases = RedisLeases(connections[leases], clock, ids) if leases is not None else None
        if other_bell is not None:
            opened.callback(other_bell.close)
        return ComposedStore(
            store, bell=other_bell, leases=other_leases, urls=(bell, leases), close=opened.pop_all().close
        )


def _reached(url: str, opened: ExitStack) -> RedisConnection:
    connection = RedisConnection(url)
    opened.callback(connection.close)
    mark(connection)
    return connection
