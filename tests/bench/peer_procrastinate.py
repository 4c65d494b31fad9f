"""Enqueue, claim and complete items by procrastinate; run by its own environment's Python: DSN ITEMS CALLERS."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from collections.abc import Iterator
from typing import Any


async def main(dsn: str, items: int, callers: int) -> None:
    package: Any = importlib.import_module("procrastinate")
    app = package.App(connector=package.PsycopgConnector(conninfo=dsn, min_size=8, max_size=8))

    async def task(n: int) -> None: ...

    work = app.task(queue="work", name="work")(task)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        worker = await app.job_manager.register_worker()

        async def enqueue(numbers: Iterator[int]) -> None:
            for number in numbers:
                await work.defer_async(n=number)

        async def labour() -> int:
            done = 0
            while job := await app.job_manager.fetch_job(["work"], worker):
                await app.job_manager.finish_job(job, package.jobs.Status.SUCCEEDED, False)
                done += 1
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
