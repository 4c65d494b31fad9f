"""What the log is held to: appending, asking a million events, verifying them."""

from __future__ import annotations

import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
from cases import ECHO, ok, serve
from mcp import Client
from measure import DurableFiles, Row, interleave
from vaults import fill_chain, make_agent


def appending(folder: Path, quick: bool) -> list[Row]:
    """P4: an event appended over stdio, and group commit at the chain primitive."""
    return anyio.run(_appending, folder, 50 if quick else 1000)


async def _appending(folder: Path, count: int) -> list[Row]:
    from argosy_core.serving.config import open_store

    vault = make_agent(folder / "vault", 5)
    files = DurableFiles(folder / "reference")
    body = {"tool_name": "memory_write", "status": "ok", "latency_ms": 3, "summary": "x" * 200}
    async with AsyncExitStack() as stack:
        echo = await stack.enter_async_context(Client(ECHO, cache=None))
        server = serve("log", "--role", "operator", vault=vault)
        log = await stack.enter_async_context(Client(server, cache=None))

        async def call_echo(index: int) -> None:
            await ok(echo, "echo", {"text": "x" * 400})

        async def append(index: int) -> None:
            await ok(log, "log_append", {"kind": "tool", "body": body})

        found = await interleave({"echo": call_echo, "append": files.append, "log": append}, count, warm_up=20)
    files.close()
    store = open_store(vault)

    async def one() -> None:
        await store.chain.append("bench", "host", {"kind": "tool", **body})

    began = time.perf_counter()
    for _ in range(count):
        await one()
    alone = (time.perf_counter() - began) / count
    began = time.perf_counter()
    for _ in range(max(1, count // 64)):
        async with anyio.create_task_group() as tasks:
            for _ in range(64):
                tasks.start_soon(one)
    together = (time.perf_counter() - began) / (max(1, count // 64) * 64)
    store.close()
    limit = found["echo"].p50 + 1.5 * found["append"].p50
    return [
        Row("P4", "log_append, one caller over stdio", found["log"].p50, found["echo"].p50, limit, "ms",
            "≤ echo + 1.5 × append", found["log"].p99),
        Row("P4", "an append of 64 callers at once against one", together * 1000, alone * 1000, alone * 1000 / 5, "ms",
            "≥ 5 × as many"),
    ]  # fmt: skip


def asking(folder: Path, quick: bool) -> list[Row]:
    """P5 and P6: a million events asked and verified."""
    events = 20_000 if quick else 1_000_000
    vault = make_agent(folder / "vault", 5)
    runs = fill_chain(vault, events)
    return [*anyio.run(_verifying, vault), *anyio.run(_asking, vault, events, runs, 30 if quick else 1000)]


async def _verifying(vault: Path) -> list[Row]:
    from argosy_core.serving.config import open_store

    store = open_store(vault)
    # By the processor's clock: it is one thread's work, and others' load is no figure of ours.
    began = time.process_time()
    report = await store.chain.verify("bench")
    took = time.process_time() - began
    store.close()
    assert report.ok and report.entries, report.findings
    each = took / report.entries * 1e6
    return [
        Row(
            "P6", f"verifying {report.entries} entries, CPU time of each", each, 10.0, 10.0, "µs", "≥ 100,000 entries/s"
        )
    ]


async def _asking(vault: Path, events: int, runs: list[str], count: int) -> list[Row]:
    async with AsyncExitStack() as stack:
        echo = await stack.enter_async_context(Client(ECHO, cache=None))
        log = await stack.enter_async_context(Client(serve("log", "--profile", "full", vault=vault), cache=None))
        began = time.perf_counter()
        while (await ok(log, "log_aggregate", {}))["notes"]:
            await anyio.sleep(0.5)
        print(f"  index of {events} events built in {time.perf_counter() - began:.1f} s", file=sys.stderr)

        async def call_echo(index: int) -> None:
            await ok(echo, "echo", {"text": "x" * 400})

        async def query(index: int) -> None:
            page = await ok(log, "log_query", {"run": runs[index * 7919 % len(runs)]})
            assert page["items"]

        async def aggregate(index: int) -> None:
            assert (await ok(log, "log_aggregate", {"measure": "cost_usd", "by": ["model"]}))["items"]

        async def percentile(index: int) -> None:
            arguments = {"measure": "latency_ms", "stat": "p95", "by": ["model"]}
            assert (await ok(log, "log_aggregate", arguments))["items"]

        steps = {"echo": call_echo, "query": query, "aggregate": aggregate, "percentile": percentile}
        found = await interleave(steps, count, warm_up=20)
    base = found["echo"].p50
    rows = [("query", "log_query by run", 2), ("aggregate", "log_aggregate by model", 30),
            ("percentile", "log_aggregate p95 by model", 30)]  # fmt: skip
    return [
        Row("P5", f"{what}, {events} events", found[name].p50, base, base + extra, "ms", f"≤ echo + {extra} ms",
            found[name].p99)
        for name, what, extra in rows
    ]  # fmt: skip
