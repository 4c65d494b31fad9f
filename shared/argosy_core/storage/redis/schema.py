"""The mark under a prefix that says in which version its keys are written."""

from __future__ import annotations

from typing import Any

from argosy_core.errors import Conflict, Corrupted
from argosy_core.storage.redis.connection import RedisConnection

MAX_DIGITS = 9
VERSION = 1
"""Of the keys and channels that this program writes: leases by `acquire.lua`, rings by `outbox`."""


def mark(connection: RedisConnection) -> None:
    """Write the mark where there is none. Blocks.

    Raises Conflict when a newer program has been there, Corrupted when the mark is something else, Unavailable.
    """
    key = f"{connection.prefix}:schema"

    def work(client: Any) -> bytes | None:
        client.set(key, VERSION, nx=True)
        found: bytes | None = client.get(key)
        return found

    found = connection.run(work)
    if found is None or not found.isdigit() or len(found) > MAX_DIGITS:
        hint = "name another prefix, as in redis://host:6379/0?prefix=name"
        raise Corrupted(f"what stands in the Redis under {key} is no version of Argosy's keys", hint=hint)
    newest = int(found)
    if newest > VERSION:
        raise Conflict(
            f"the keys under {connection.prefix} are of version {newest}; this program knows versions up to {VERSION}",
            hint="upgrade this program: pip install --upgrade argosy",
            found=newest,
            known=VERSION,
        )
