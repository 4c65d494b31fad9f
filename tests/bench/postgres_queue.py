"""P7 over PostgreSQL: items enqueued, claimed one at a time and completed by callers at once, durably.

With ``PEERS=1`` procrastinate and PgQueuer are installed into an environment of their own and do the same on the same
server, in turn with ours: all three through their own calls, with eight connections each.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
sys.path.append(str(ROOT / "tests/support"))

from measure import Figures, Row, Step, interleave  # noqa: E402
from postgres_server import PostgresServer, run_sql, running_postgres  # noqa: E402

from argosy_core.clock import SystemClock  # noqa: E402
from argosy_core.ids import SystemIds  # noqa: E402
from argosy_core.storage.base import NewItem, Store  # noqa: E402
from argosy_core.storage.opening import open_store  # noqa: E402
from argosy_core.storage.postgres.address import parse_address  # noqa: E402
from argosy_core.storage.postgres.store import PostgresStore  # noqa: E402

PEERS = ("procrastinate", "pgqueuer")
PACKAGES = ("procrastinate>=3.10", "pgqueuer>=1.6", "psycopg[binary]", "asyncpg")


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
        asyncio.run(ours(store, callers * 4, callers))
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


async def claim_times(server: PostgresServer, folder: Path, sizes: Sequence[int], count: int) -> dict[int, Figures]:
    """Claims by the number of items that are ready."""
    stores = {size: PostgresStore(server.url(), folder, SystemClock(), SystemIds()) for size in sizes}
    for size, store in stores.items():
        for first in range(0, size, 500):
            some = range(first, min(first + 500, size))
            await asyncio.gather(*(store.items.enqueue(NewItem("work", {"n": n}, priority=n % 7)) for n in some))
        await run_sql(store.database.address, "ANALYZE items")

    def claiming(store: Store) -> Step:
        async def claim(_: int) -> None:
            await store.items.claim("work", "worker", 600)

        return claim

    found = await interleave({str(size): claiming(store) for size, store in stores.items()}, count, 10)
    for store in stores.values():
        store.close()
    return {int(size): figures for size, figures in found.items()}


def queueing(folder: Path, quick: bool) -> list[Row]:
    """P7 over PostgreSQL; against its peers with ``PEERS=1``."""
    folder.mkdir(parents=True, exist_ok=True)
    few, many = (50, 500) if quick else (500, 100_000)
    items, callers = (800, 16) if quick else (2000, 16)
    peers = PEERS if os.environ.get("PEERS", "") not in ("", "0") else ()
    took: dict[str, list[float]] = {name: [] for name in ("argosy", *peers)}
    with running_postgres(is_durable=True) as server:
        for number in range(1 if quick else 3) if peers else ():
            for name in took:
                if name == "argosy":
                    parts = run_ours(server, folder, items, callers)
                else:
                    parts = run_peer(name, server, number, items, callers)
                print(f"{name}: {json.dumps({part: round(s, 2) for part, s in parts.items()})}", file=sys.stderr)
                took[name].append(sum(parts.values()) / items * 1000)
        claims = asyncio.run(claim_times(server, folder, (few, many), 30 if quick else 300))
    rows = [
        Row("P7", f"a claim over PostgreSQL, {many} ready against {few}", claims[many].p50, claims[few].p50,
            1.5 * claims[few].p50, "ms", "flat: ≤ 1.5 ×", claims[many].p99)
    ]  # fmt: skip
    for name in peers:
        ours, theirs = statistics.median(took["argosy"]), statistics.median(took[name])
        what = f"enqueue, claim, complete by {callers} callers, each, against {name}"
        rows.append(Row("P7", what, ours, theirs, theirs / 1.5, "ms", "≥ 1.5 × as many"))
    return rows
