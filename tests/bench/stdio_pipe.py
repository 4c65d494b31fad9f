"""A server over pipes, spoken to without an SDK: asking costs the client the same for every server compared."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

MAX_LINE_BYTES = 256 * 1024 * 1024
CALL_SECONDS = 60.0
STOP_SECONDS = 15.0
PROTOCOL = "2025-06-18"


class Broken(Exception):
    """Raised when a server answers with an error, or not in time."""


class Pipe:
    """One connection. Calls may be made at once; answers are told apart by their ids."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._last = 0
        self._reader = asyncio.get_running_loop().create_task(self._read())

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    async def call(self, tool: str, arguments: Mapping[str, Any], seconds: float = CALL_SECONDS) -> dict[str, Any]:
        """The result of a tool. Raises Broken."""
        result = await self.request("tools/call", {"name": tool, "arguments": dict(arguments)}, seconds)
        if result.get("isError"):
            raise Broken(f"{tool}: {str(result.get('content'))[:300]}")
        return result

    async def request(self, method: str, params: Mapping[str, Any], seconds: float = CALL_SECONDS) -> dict[str, Any]:
        self._last += 1
        number = self._last
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        await self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        try:
            answer = await asyncio.wait_for(future, seconds)
        except TimeoutError as exc:
            raise Broken(f"{method}: no answer within {seconds:g} s") from exc
        finally:
            self._waiting.pop(number, None)
        if "error" in answer:
            raise Broken(f"{method}: {str(answer['error'])[:300]}")
        found: dict[str, Any] = answer["result"]
        return found

    async def send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as exc:
            raise Broken("the server has ended") from exc

    async def _read(self) -> None:
        assert self._process.stdout
        while line := await self._process.stdout.readline():
            with suppress(ValueError):
                message = json.loads(line)
                future = self._waiting.get(message.get("id", 0))
                if future is not None and not future.done() and ("result" in message or "error" in message):
                    future.set_result(message)
        for future in self._waiting.values():
            if not future.done():
                future.set_result({"error": "the server has ended"})

    async def stop(self) -> None:
        """End the server: its input closes, and what has not gone within a bound is killed."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        self._reader.cancel()


@asynccontextmanager
async def opened(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, seconds: float = CALL_SECONDS
) -> AsyncGenerator[Pipe]:
    """A server started and greeted. Raises Broken when it does not answer."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=folder,
        env={**os.environ, **environment},
        limit=MAX_LINE_BYTES,
    )
    pipe = Pipe(process)
    try:
        hello = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": {"name": "bench", "version": "0"}}
        await pipe.request("initialize", hello, seconds)
        await pipe.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        yield pipe
    finally:
        await pipe.stop()
