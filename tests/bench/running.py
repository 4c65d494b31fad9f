"""The figures of a fleet that runs: starts through it, its own start, the queue, and a long life in short."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import anyio
from cases import ENVIRONMENT, HERE, HOST, RawServer, measure_starts, ok, serve, until_asked
from mcp import Client
from measure import Row, figures, interleave
from vaults import make_agent


@contextmanager
def up(vault: Path) -> Generator[dict[str, str]]:
    """The fleet of *vault* in the background; gives the environment in which it is found."""
    with tempfile.TemporaryDirectory(prefix="argosy-rt-") as runtime:
        found = {**ENVIRONMENT, "XDG_RUNTIME_DIR": runtime}
        env = {**os.environ, **found}
        subprocess.run([*HOST, "up", "--vault", str(vault)], env=env, check=True, stdout=subprocess.DEVNULL, cwd=HERE)
        try:
            yield found
        finally:
            subprocess.run([*HOST, "down", "--vault", str(vault)], env=env, check=True, stdout=subprocess.DEVNULL)


def relayed_start(folder: Path, quick: bool) -> list[Row]:
    """P9 while the fleet is up: a client's server is a thin relay to it."""
    vault = make_agent(folder / "vault", 100)
    with up(vault) as env:
        start, size = measure_starts(vault, quick, env)
    return [
        Row("P9", "relayed: start of one server to its first result", start["ours"].p50, start["echo"].p50,
            0.2 * start["echo"].p50, "ms", "≤ 0.2 × echo", start["ours"].p99),
        Row("P9", "relayed: resident memory", size["ours"].p50, size["echo"].p50, 0.3 * size["echo"].p50, "MiB",
            "≤ 0.3 × echo"),
    ]  # fmt: skip


def relayed_request(folder: Path, quick: bool) -> list[Row]:
    """P10 while the fleet is up: the run is done by it."""
    vault = make_agent(folder / "vault", 100)
    command = [*HOST, "run", "bench", "what do I know about badra", "--vault", str(vault), "--model", "offline"]
    echo = [sys.executable, str(HERE / "echo_server.py")]
    ours: list[float] = []
    reference: list[float] = []
    with up(vault) as env:
        for index in range(4 if quick else 16):
            raw = RawServer(echo, env)
            took = raw.first_result("echo", {"text": "x"})
            raw.stop()
            mine = until_asked(command, env)
            if index:
                reference.append(took)
                ours.append(mine)
    mine_found, echo_found = figures(ours), figures(reference)
    return [
        Row("P10", "relayed: mcp-host run to the first model request", mine_found.p50, echo_found.p50,
            0.6 * echo_found.p50, "ms", "≤ 0.6 × echo cold", mine_found.p99)
    ]  # fmt: skip


READY = """
import os, time
import mcp, mcp.server, mcp.server.lowlevel, mcp.client, anyio
began = time.perf_counter()
from argosy_host.collector import ease
ease()  # as every command does
from pathlib import Path
from argosy_core.fleet import packaged
from argosy_core.ids import SystemIds
from argosy_core.clock import SystemClock
from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.serving.identity import RunTokens
from argosy_host.compose import compose

async def main():
    tokens = RunTokens(SystemClock())
    store = open_store(os.environ["BENCH_VAULT"])
    config = ServerConfig(store=store, agent="bench", profile="full", host_key=tokens.public_key)
    async with compose(packaged().servers, config, tokens.issue("bench", "run-bench")) as fleet:
        assert not fleet.problems
        took = (time.perf_counter() - began) * 1000
        size = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
        print(took, int(size.split()[1]) / 1024, flush=True)

anyio.run(main)
"""


def all_ready(folder: Path, quick: bool) -> list[Row]:
    """P13: every server of the fleet ready in one process, after the SDK was imported."""
    vault = make_agent(folder / "vault", 100)
    env = {**os.environ, **ENVIRONMENT, "BENCH_VAULT": str(vault)}
    took: list[float] = []
    size: list[float] = []
    for index in range(3 if quick else 11):
        done = subprocess.run([sys.executable, "-c", READY], env=env, capture_output=True, text=True, check=True)
        if index:
            milliseconds, mebibytes = map(float, done.stdout.split())
            took.append(milliseconds)
            size.append(mebibytes)
    return [
        Row("P13", "all servers ready in one process, after the SDK's import", figures(took).p50, 300, 300, "ms",
            "≤ 0.3 s", figures(took).p99),
        Row("P13", "its resident memory", figures(size).p50, 120, 120, "MiB", "≤ 120 MB"),
    ]  # fmt: skip


def queueing(folder: Path, quick: bool) -> list[Row]:
    """P7 over files: a claim must cost the same however many items wait."""
    return anyio.run(_queueing, folder, (50, 500) if quick else (100, 100_000), 30 if quick else 300)


async def _queueing(folder: Path, sizes: tuple[int, int], count: int) -> list[Row]:
    from argosy_core.clock import SystemClock
    from argosy_core.ids import SystemIds
    from argosy_core.storage.base import NewItem
    from argosy_core.storage.files.store import FileStore
    from argosy_core.vault import Vault

    stores: dict[str, FileStore] = {}
    for size in sizes:
        vault = make_agent(folder / str(size), 1)
        store = stores[str(size)] = FileStore(Vault(vault), SystemClock(), SystemIds())
        await _fill_queue(vault, store, size)

    def cycle(store: FileStore) -> Any:
        async def step(index: int) -> None:
            await store.items.enqueue(NewItem("work", {"n": index}))
            [item] = await store.items.claim("work", "bench", 60)
            assert item.lease is not None
            await store.items.complete(item.id, item.lease.token, {})

        return step

    found = await interleave({name: cycle(store) for name, store in stores.items()}, count, warm_up=10)
    for store in stores.values():
        store.close()
    few, many = found[str(sizes[0])], found[str(sizes[1])]
    return [
        Row("P7", f"enqueue, claim, complete over files, {sizes[1]} ready against {sizes[0]}", many.p50, few.p50,
            1.5 * few.p50, "ms", "flat: ≤ 1.5 ×", many.p99)
    ]  # fmt: skip


async def _fill_queue(vault: Path, store: Any, size: int) -> None:
    """Items written as a person would, so that it takes seconds: the queue reads whatever stands in its folder."""
    ready = vault / "_fleet/queue/work/ready"
    ready.mkdir(parents=True)
    for number in range(size):
        (ready / f"item_{number:08}.json").write_text(f'{{"payload": {{"n": {number}}}}}')
    await store.items.counts("work")


def long_life(folder: Path, quick: bool) -> list[Row]:
    """P18 in short: memory and open files of a running server, call after call."""
    return anyio.run(_long_life, folder, 300 if quick else 6000)


async def _long_life(folder: Path, count: int) -> list[Row]:
    vault = make_agent(folder / "vault", 100)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(serve(vault=vault), cache=None))
        for index in range(count // 3):
            await _one_of_each(client, index)
        first = _process_size(vault)
        for index in range(count // 3, count):
            await _one_of_each(client, index)
        last = _process_size(vault)
    calls = 3 * (count - count // 3)
    slope = max(0.0, (last["kib"] - first["kib"]) / calls)
    return [
        Row("P18", f"memory of the gateway over {calls} calls", slope, 1.0, 1.0, "KiB a call", "< 1 KiB a call"),
        Row("P18", "open files of it, more at the end", max(0.0, last["fds"] - first["fds"]), 0, 0, "descriptors", "0"),
    ]  # fmt: skip


async def _one_of_each(client: Client, index: int) -> None:
    await ok(client, "memory_search", {"query": f"badra {index % 50}"})
    await ok(client, "journal_append", {"text": f"Round {index}.", "tags": ["bench"]})
    await ok(client, "memory_read", {"name": "user_seed_0"})


def _process_size(vault: Path) -> Mapping[str, float]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            line = (entry / "cmdline").read_bytes()
            if str(vault).encode() in line and b"serve" in line:
                text = (entry / "status").read_text()
                kib = int(next(row for row in text.splitlines() if row.startswith("VmRSS")).split()[1])
                return {"kib": kib, "fds": len(list((entry / "fd").iterdir()))}
        except OSError:
            continue
    raise AssertionError("the server is not there")
