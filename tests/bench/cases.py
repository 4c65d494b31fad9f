"""What is measured, a function a figure; each makes its own vault."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from measure import DurableFiles, Figures, Row, figures, interleave
from vaults import Prose, fill_log, make_agent

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("servers", "shared", "host"))}
HOST = [sys.executable, "-m", "argosy_host"]


def _stdio(*command: str) -> StdioServerParameters:
    return StdioServerParameters(command=command[0], args=list(command[1:]), env=ENVIRONMENT, cwd=str(HERE))


def serve(*servers: str, vault: Path) -> StdioServerParameters:
    return _stdio(*HOST, "serve", *servers, "--vault", str(vault), "--agent", "bench")


ECHO = _stdio(sys.executable, str(HERE / "echo_server.py"))


async def ok(client: Client, tool: str, arguments: dict[str, Any]) -> Any:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content


def writing(folder: Path, quick: bool) -> list[Row]:
    """P1: a note written over stdio, few and many notes present."""
    sizes = (20, 200) if quick else (100, 10_000)
    return anyio.run(_writing, folder, sizes, 50 if quick else 1000)


async def _writing(folder: Path, sizes: tuple[int, int], count: int) -> list[Row]:
    few, many = (make_agent(folder / str(size), size) for size in sizes)
    prose = Prose(7)
    files = DurableFiles(folder / "reference")
    async with AsyncExitStack() as stack:
        echo = await stack.enter_async_context(Client(ECHO, cache=None))
        small = await stack.enter_async_context(Client(serve("memory", vault=few), cache=None))
        large = await stack.enter_async_context(Client(serve("memory", vault=many), cache=None))
        for client in (small, large):
            await warm(client)

        def write(client: Client) -> Callable[[int], Any]:
            async def step(index: int) -> None:
                body = " ".join(prose.words(60))
                await ok(client, "memory_write", {"type": "project", "title": f"bench note {index}", "body": body})

            return step

        async def call_echo(index: int) -> None:
            await ok(echo, "echo", {"text": "x" * 400})

        steps = {"echo": call_echo, "replace": files.replace, "few": write(small), "many": write(large)}
        found = await interleave(steps, count, warm_up=20)
    files.close()
    limit = found["echo"].p50 + 2 * found["replace"].p50
    many_found, few_found = found["many"], found["few"]
    return [
        Row("P1", f"memory_write, {sizes[1]} notes", many_found.p50, limit, limit, "ms", "≤ echo + 2 × replace",
            many_found.p99),
        Row("P1", f"memory_write, {sizes[1]} against {sizes[0]} notes", many_found.p50, few_found.p50,
            1.2 * few_found.p50, "ms", "≤ 1.2 ×", few_found.p99),
    ]  # fmt: skip


async def warm(client: Client) -> None:
    """Wait until the index is whole; searches answer before."""
    while (await ok(client, "memory_search", {"query": "warm"}))["note"]:
        await anyio.sleep(0.05)


def searching(folder: Path, quick: bool) -> list[Row]:
    """P2: searching over stdio."""
    rows: list[Row] = []
    for size, extra in ((300, 2.0),) if quick else ((10_000, 2.0), (100_000, 10.0)):
        rows += anyio.run(_searching, folder, size, extra, 100 if quick else 1000)
    return rows


async def _searching(folder: Path, size: int, extra: float, count: int) -> list[Row]:
    vault = make_agent(folder / str(size), size)
    prose = Prose(11)
    async with AsyncExitStack() as stack:
        echo = await stack.enter_async_context(Client(ECHO, cache=None))
        memory = await stack.enter_async_context(
            Client(serve("memory", vault=vault), cache=None, read_timeout_seconds=300)
        )
        began = time.perf_counter()
        await warm(memory)
        print(f"  index of {size} notes built in {time.perf_counter() - began:.1f} s", file=sys.stderr)

        async def call_echo(index: int) -> None:
            await ok(echo, "echo", {"text": "x" * 400})

        async def search(index: int) -> None:
            await ok(memory, "memory_search", {"query": prose.query()})

        found = await interleave({"echo": call_echo, "search": search}, count, warm_up=50)
    echo_p50, ours = found["echo"].p50, found["search"]
    return [
        Row("P2", f"memory_search, {size} notes", ours.p50, echo_p50, echo_p50 + extra, "ms", f"≤ echo + {extra:g} ms",
            ours.p99)
    ]  # fmt: skip


def judging(folder: Path, quick: bool) -> list[Row]:
    """P8: the judge alone, and the whole gate, with no history and with a long one."""
    events = 2_000 if quick else 1_000_000
    rows: list[Row] = []
    for past in (0, events):
        vault = make_agent(folder / str(past), 20)
        if past:
            fill_log(vault, past)
        rows += anyio.run(_judging, vault, past, 100 if quick else 1000)
    gates = [row for row in rows if "gate" in row.what]
    rows.append(
        Row("P8", f"gate with {events} past events against none", gates[1].ours, gates[0].ours, 1.2 * gates[0].ours,
            "ms", "flat: ≤ 1.2 ×")
    )  # fmt: skip
    return rows


async def _judging(vault: Path, past: int, count: int) -> list[Row]:
    from echo_server import server as echo_server

    from argosy_core.clock import SystemClock
    from argosy_core.fleet import packaged
    from argosy_core.ids import SystemIds, new_run_id
    from argosy_core.secrets.secret_store import open_secrets
    from argosy_core.serving.config import ServerConfig, open_store
    from argosy_core.serving.identity import RunTokens
    from argosy_core.views.vault_reader import VaultReader
    from argosy_host.compose import compose
    from argosy_host.gate import Gate
    from argosy_host.progress import Progress
    from argosy_host.providers.base import ToolCall
    from argosy_host.runs import Run

    clock = SystemClock()
    tokens = RunTokens(clock)
    store = open_store(vault)
    run_id = new_run_id(clock, SystemIds())
    token = tokens.issue("bench", run_id)
    config = ServerConfig(store=store, agent="bench", host_key=tokens.public_key)
    files = DurableFiles(vault.parent / f"reference-{past}")
    arguments = {"text": "Did the round.", "tags": ["bench"]}
    proposal = {"tool_name": "journal_append", "tool_arguments": arguments, "tool_call_id": "c1", "server": "journal"}
    async with compose(packaged().servers, config, token) as fleet, Client(echo_server, cache=None) as echo:
        secrets = open_secrets(VaultReader(store.files))
        gate = Gate(Run(run_id, "bench", "bench", token, "offline", fleet, secrets), clock, Progress())

        async def call_echo(index: int) -> None:
            await echo.call_tool("echo", {"text": "x"})

        async def judge(index: int) -> None:
            outcome = await fleet.call("judge_evaluate", {"proposal": proposal}, token)
            assert outcome.structured is not None and outcome.structured["outcome"] == "allow", outcome

        async def direct(index: int) -> None:
            assert not (await fleet.call("memory_read", {"name": "user_seed_0"}, token)).is_error

        # A call above reading that changes nothing: the same note again is no write.
        same = {"type": "user", "title": "Gate", "body": "The same again."}

        async def gated(index: int) -> None:
            result = await gate.call(ToolCall(f"c{index}", "memory_write", same))
            assert not result.is_error, result.text

        async def bare(index: int) -> None:
            assert not (await fleet.call("memory_write", same, token)).is_error

        steps = {"echo": call_echo, "judge": judge, "append": files.append, "gate": gated, "tool": bare, "read": direct}
        found = await interleave(steps, count, warm_up=30)
    files.close()
    store.close()
    append = found["append"].p50
    whole = found["gate"].p50 - found["tool"].p50
    limit = 3 + append
    name = f"{past} past events"
    return [
        Row("P8", f"judge_evaluate in process, {name}", found["judge"].p50, found["echo"].p50, 0.5, "ms", "≤ 0.5 ms",
            found["judge"].p99),
        Row("P8", f"whole gate around a call, {name}", whole, append, limit, "ms", "≤ 3 ms + append"),
    ]  # fmt: skip


class RawServer:
    """A server over a pipe without an SDK on this side, so that only the server is measured."""

    def __init__(self, command: list[str], env: Mapping[str, str] = ENVIRONMENT) -> None:
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={**os.environ, **env},
            cwd=HERE,
        )
        self._buffer = b""

    def first_result(self, tool: str, arguments: dict[str, Any]) -> float:
        """Milliseconds from the start to the first tool result."""
        self._request(1, "initialize", {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "0"},
        })  # fmt: skip
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        answer = self._request(2, "tools/call", {"name": tool, "arguments": arguments})
        assert "result" in answer and not answer["result"].get("isError"), answer
        return (time.perf_counter() - self.began) * 1000

    def resident_mib(self) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024

    def stop(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin
        self.process.stdin.write((json.dumps(message) + "\n").encode())

    def _request(self, number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        assert self.process.stdout
        while True:
            while b"\n" not in self._buffer:
                ready, _, _ = select.select([self.process.stdout], [], [], 30)
                assert ready, "no answer within 30 s"
                self._buffer += os.read(self.process.stdout.fileno(), 65536)
            line, self._buffer = self._buffer.split(b"\n", 1)
            answer = json.loads(line)
            if answer.get("id") == number:
                return answer


def measure_starts(
    vault: Path, quick: bool, env: Mapping[str, str] = ENVIRONMENT
) -> tuple[dict[str, Figures], dict[str, Figures]]:
    """Milliseconds to the first result and resident MiB, of the echo server and of ours, started in turn."""
    memory = [*HOST, "serve", "memory", "--vault", str(vault), "--agent", "bench"]
    echo = [sys.executable, str(HERE / "echo_server.py")]
    starts: dict[str, list[float]] = {"echo": [], "ours": []}
    sizes: dict[str, list[float]] = {"echo": [], "ours": []}
    for index in range(4 if quick else 16):
        for name, command, tool, arguments in (
            ("echo", echo, "echo", {"text": "x"}),
            ("ours", memory, "memory_read", {"name": "user_seed_0"}),
        ):
            raw = RawServer(command, env)
            took = raw.first_result(tool, arguments)
            if index:
                starts[name].append(took)
                sizes[name].append(raw.resident_mib())
            raw.stop()
    return {n: figures(v) for n, v in starts.items()}, {n: figures(v) for n, v in sizes.items()}


def cold_start(folder: Path, quick: bool) -> list[Row]:
    """P9: from nothing to the first tool result, and resident memory."""
    start, size = measure_starts(make_agent(folder / "vault", 100), quick)
    return [
        Row("P9", "cold start of one server to its first result", start["ours"].p50, start["echo"].p50,
            1.25 * start["echo"].p50, "ms", "≤ 1.25 × echo", start["ours"].p99),
        Row("P9", "resident memory of one server", size["ours"].p50, size["echo"].p50, 1.3 * size["echo"].p50, "MiB",
            "≤ 1.3 × echo"),
    ]  # fmt: skip


def first_request(folder: Path, quick: bool) -> list[Row]:
    """P10: ``mcp-host run`` until the model is asked, all servers composed."""
    vault = make_agent(folder / "vault", 100)
    command = [*HOST, "run", "bench", "what do I know about badra", "--vault", str(vault), "--model", "offline"]
    echo = [sys.executable, str(HERE / "echo_server.py")]
    ours: list[float] = []
    reference: list[float] = []
    for index in range(4 if quick else 16):
        raw = RawServer(echo)
        took = raw.first_result("echo", {"text": "x"})
        raw.stop()
        mine = until_asked(command)
        if index:
            reference.append(took)
            ours.append(mine)
    mine_found, echo_found = figures(ours), figures(reference)
    return [
        Row("P10", "mcp-host run to the first model request (offline)", mine_found.p50, echo_found.p50,
            2 * echo_found.p50, "ms", "≤ 2 × echo cold", mine_found.p99)
    ]  # fmt: skip


def until_asked(command: list[str], env: Mapping[str, str] = ENVIRONMENT) -> float:
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **env}, cwd=HERE
    )
    assert process.stderr
    # The line that names run and model is printed when everything is ready and the model is about to be asked.
    for line in process.stderr:
        if b" tools \xc2\xb7 run-" in line:
            took = (time.perf_counter() - began) * 1000
            process.stderr.read()
            assert process.wait(60) == 0
            process.stderr.close()
            return took
    raise AssertionError("the run did not start")


def gateway(folder: Path, quick: bool) -> list[Row]:
    """P11: a call through the gateway against the same call direct."""
    return anyio.run(_gateway, folder, 100 if quick else 1000)


async def _gateway(folder: Path, count: int) -> list[Row]:
    vault = make_agent(folder / "vault", 100)
    async with AsyncExitStack() as stack:
        direct = await stack.enter_async_context(Client(serve("memory", vault=vault), cache=None))
        whole = await stack.enter_async_context(Client(serve(vault=vault), cache=None))

        def read(client: Client) -> Callable[[int], Any]:
            async def step(index: int) -> None:
                await ok(client, "memory_read", {"name": "user_seed_0"})

            return step

        def write(client: Client, name: str) -> Callable[[int], Any]:
            async def step(index: int) -> None:
                await ok(client, "memory_write", new_note(f"{name} {index}"))

            return step

        reads = await interleave({"direct": read(direct), "gateway": read(whole)}, count, warm_up=50)
        writes = await interleave(
            {"direct": write(direct, "direct"), "gateway": write(whole, "gateway")}, count, warm_up=50
        )
    named = {"a reading call": reads, "a write, judged and logged,": writes}
    return [
        Row("P11", f"{what} through the gateway", found["gateway"].p50, found["direct"].p50,
            1.3 * found["direct"].p50, "ms", "≤ 1.3 × direct", found["gateway"].p99)
        for what, found in named.items()
    ]  # fmt: skip


def new_note(title: str) -> dict[str, Any]:
    """The arguments of a write of a note that is not there yet."""
    return {"type": "reference", "title": title, "body": f"What {title} is about."}


def definitions(folder: Path, quick: bool) -> list[Row]:
    """P14: what an agent is shown of the fleet, in bytes of JSON."""
    return anyio.run(_definitions, folder)


async def _definitions(folder: Path) -> list[Row]:
    vault = make_agent(folder / "vault", 1)
    async with Client(serve(vault=vault), cache=None) as client:
        tools = (await client.list_tools()).tools
    shown = [{"name": t.name, "description": t.description, "input_schema": t.input_schema} for t in tools]
    size = len(json.dumps(shown, ensure_ascii=False).encode()) / 1024
    return [Row("P14", f"definitions of {len(tools)} tools of the default profile", size, 24, 24, "KiB", "≤ 24 KiB")]
