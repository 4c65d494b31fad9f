"""What a process that was killed left behind, put right by the next one: its presence and the items it worked on.

The lock of `runtime` was free, so the process that wrote the old facts is gone: nobody waits for its leases to end.
"""

from __future__ import annotations

from argosy_core.errors import ArgosyError
from argosy_core.storage.base import Item, Store

PAGE = 200
KILLED = "its worker's process was killed"


def worker_name(mark: str | None, number: int) -> str:
    """What worker *number* of the process of *mark* calls itself."""
    return f"{mark or 'host'}:{number}"


async def bury(store: Store, mark: str) -> int:
    """End the presence of the killed process of *mark*, and give back the items it had; how many there were."""
    name, _, generation = mark.partition("#")
    lease = await store.leases.current(name)
    if lease is not None and str(lease.generation) == generation:
        await store.leases.release(lease)
    return sum([await _give_back(store, item) for item in await _held_by(store, mark)])


async def _held_by(store: Store, mark: str) -> list[Item]:
    found: list[Item] = []
    cursor: str | None = None
    while True:
        page, cursor = await store.items.list(state="leased", limit=PAGE, cursor=cursor)
        found += [item for item in page if item.lease is not None and item.lease.holder.startswith(f"{mark}:")]
        if cursor is None:
            return found


async def _give_back(store: Store, item: Item) -> int:
    assert item.lease is not None
    try:
        await store.items.fail(item.id, item.lease.token, KILLED, 0)
    except ArgosyError:
        return 0  # it ended, or somebody took it, meanwhile
    return 1
