"""P7 over PostgreSQL: items enqueued, claimed one at a time and completed by callers at once, durably.

``PEERS=1 python tests/bench/postgres_queue.py [--items 2000] [--callers 16] [--rounds 3]`` installs procrastinate and
PgQueuer into an environment of their own and lets them do the same on the same server, in turn with ours.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
sys.path[:0] = [str(ROOT / part) for part in ("servers", "shared", "host", "tests/support")]

from postgres_server import PostgresServer, run_sql, running_postgres  # noqa: E402

from argosy_core.storage.base import NewItem, Store  # noqa: E402
from argosy_core.storage.opening import open_store  # noqa: E402
from argosy_core.storage.postgres.address import parse_address  # noqa: E402

PEERS = ("procrastinate", "pgqueuer")
PACKAGES = ("procrastinate>=3.10", "pgqueuer>=1.6", "psycopg[binary]", "asyncpg")
READY = (100, 10_000, 100_000)


def peers_python() -> str:
    """The Python of the peers' environment, which is made when it is not there."""
    python = ROOT / "build/bench-peers/bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return str(python)


async def ours(store: Store, items: int, callers: int) -> dict[str, float]:
    numbers = iter(range(items))

    async def enqueue() -> None:
        for number in numbers:
            await store.items.enqueue(NewItem("work", {"n": number}))

    async def labour() -> int:
        done = 0
        while found := await store.items.claim("work", "worker", 600):
            for item in found:
                assert item.lease is not None
                await store.items.complete(item.id, item.lease.token, {})
            done += len(found)
        return done

    began = time.perf_counter()
    await asyncio.gather(*(enqueue() for _ in range(callers)))
    enqueued = time.perf_counter()
    done = sum(await asyncio.gather(*(labour() for _ in range(callers))))
    ended = time.perf_counter()
    assert done == items, done
    return {"enqueue": enqueued - began, "work": ended - enqueued}


def run_ours(server: PostgresServer, folder: Path, items: int, callers: int) -> dict[str, float]:
    store = open_store(folder, server.url())
    try:
        return asyncio.run(ours(store, items, callers))
    finally:
        store.close()


def run_peer(name: str, server: PostgresServer, number: int, items: int, callers: int) -> dict[str, float]:
    database = f"{name}{number}"
    server.sql(parse_address(server.url("public")), f"CREATE DATABASE {database}")
    dsn = parse_address(server.url("public")).dsn.replace("/postgres?", f"/{database}?")
    script = str(HERE / f"peer_{name}.py")
    said = subprocess.run(
        [peers_python(), "-P", script, dsn, str(items), str(callers)], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(said.stdout.splitlines()[-1])
    return found


async def claim_times(server: PostgresServer, folder: Path, count: int) -> dict[int, float]:
    """Milliseconds of a claim at the median, by the number of ready items."""
    found: dict[int, float] = {}
    stores = {ready: open_store(folder, server.url()) for ready in READY}
    for ready, store in stores.items():
        for first in range(0, ready, 500):
            some = range(first, min(first + 500, ready))
            await asyncio.gather(*(store.items.enqueue(NewItem("work", {"n": n}, priority=n % 7)) for n in some))
        await run_sql(parse_address(str(store.database.address.dsn)), "ANALYZE")  # type: ignore[attr-defined]
    samples: dict[int, list[float]] = {ready: [] for ready in READY}
    for _ in range(count):
        for ready, store in stores.items():
            began = time.perf_counter()
            [item] = await store.items.claim("work", "worker", 600)
            samples[ready].append((time.perf_counter() - began) * 1000)
            assert item.lease is not None
            await store.items.release(item.id, item.lease.token)
    for ready, store in stores.items():
        found[ready] = statistics.median(samples[ready][count // 10 :])
        store.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    peers = PEERS if os.environ.get("PEERS") else ()
    rates: dict[str, list[float]] = {name: [] for name in ("argosy", *peers)}
    with running_postgres(is_durable=True) as server, tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            for name in rates:
                if name == "argosy":
                    took = run_ours(server, Path(folder), options.items, options.callers)
                else:
                    took = run_peer(name, server, number, options.items, options.callers)
                rates[name].append(options.items / sum(took.values()))
                print(f"{name}: {json.dumps({part: round(s, 2) for part, s in took.items()})}", file=sys.stderr)
        flat = asyncio.run(claim_times(server, Path(folder), 200))
    best = {name: statistics.median(values) for name, values in rates.items()}
    for name, rate in best.items():
        print(f"{name:14} {rate:8.0f} items/s   ours is {best['argosy'] / rate:.2f} x")
    print("a claim, ms by ready items:", {ready: round(ms, 2) for ready, ms in flat.items()})


if __name__ == "__main__":
    main()
