"""One of several processes that work on a store at once: ``python -m argosy_core.testing.worker OPENER [ARGUMENT…]``.

It opens the store, says so, and waits for a line with its name and its jobs; what it did is a line of JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import anyio

from argosy_core.storage.base import Store
from argosy_core.testing.conformance.jobs import JOBS
from argosy_core.testing.openers import opener

READY = b"ready\n"


async def _work(store: Store, name: str, jobs: Sequence[str]) -> dict[str, Any]:
    did: dict[str, Any] = {}

    async def work(job: str) -> None:
        did[job] = await JOBS[job].work(store, name)

    async with anyio.create_task_group() as tasks:
        for job in jobs:
            tasks.start_soon(work, job)
    return did


def main(arguments: Sequence[str]) -> None:
    """Run the program; *arguments* are its words."""
    name, *given = arguments
    store = opener(name)(*given)
    try:
        sys.stdout.buffer.write(READY)
        sys.stdout.buffer.flush()
        told = sys.stdin.buffer.readline()
        if told:  # else nobody is there any more
            called, jobs = json.loads(told)
            did = anyio.run(_work, store, called, jobs)
            sys.stdout.buffer.write(json.dumps(did).encode() + b"\n")
    finally:
        store.close()


if __name__ == "__main__":
    main(sys.argv[1:])
