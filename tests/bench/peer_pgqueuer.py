"""Enqueue, claim and complete items by PgQueuer; run by its own environment's Python: DSN ITEMS CALLERS."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any


async def main(dsn: str, items: int, callers: int) -> None:
    asyncpg: Any = importlib.import_module("asyncpg")
    package: Any = importlib.import_module("pgqueuer.queries")
    driver: Any = importlib.import_module("pgqueuer.db").AsyncpgPoolDriver
    async with asyncpg.create_pool(dsn, min_size=8, max_size=8) as pool:
        queries = package.Queries(driver(pool))
        await queries.install()
        me, entrypoints = uuid.uuid4(), {"work": package.EntrypointExecutionParameter(0)}

        async def enqueue(numbers: Iterator[int]) -> None:
            for number in numbers:
                await queries.enqueue("work", json.dumps({"n": number}).encode())

        async def labour() -> int:
            done = 0
            while jobs := await queries.dequeue(1, entrypoints, me, None, timedelta(seconds=60)):
                await queries.log_jobs([(job, "successful", None) for job in jobs])
                done += len(jobs)
            return done

        for count in (callers * 4, items):  # the first is to warm up
            numbers = iter(range(count))
            began = time.perf_counter()
            await asyncio.gather(*(enqueue(numbers) for _ in range(callers)))
            enqueued = time.perf_counter()
            done = sum(await asyncio.gather(*(labour() for _ in range(callers))))
            ended = time.perf_counter()
            assert done == count, done
            took = {"enqueue": enqueued - began, "work": ended - enqueued}
    print(json.dumps(took))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
