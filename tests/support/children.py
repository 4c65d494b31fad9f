"""Servers in processes of their own, and the raw bytes on their pipes."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from warm import PYTHONPATH, ROOT, warm

WAIT_SECONDS = 20.0
MODERN = "2026-07-28"
LEGACY = "2025-11-25"
MODERN_META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
}


TINY = str(ROOT / "tests/support/tiny_server.py")


def tiny(vault: Path, *flags: str) -> list[str]:
    """The command line of the tiny server."""
    return warm("-W", "error", TINY, str(vault), *flags)


def cold_tiny(vault: Path, *flags: str) -> list[str]:
    """The same as a process from its start to its very end."""
    return [sys.executable, "-P", "-W", "error", TINY, str(vault), *flags]


def journal(vault: Path) -> list[str]:
    """The command line of a real server."""
    return warm("-m", "argosy_host", "serve", "journal", "--vault", str(vault), "--agent", "harbor")


def environment() -> dict[str, str]:
    """A child's environment. Some machines forbid byte code, and every start would compile the library again."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": PYTHONPATH}


class Pipe:
    """One end of a child's stdin and stdout: whole messages out and in, or any bytes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.lines: list[bytes] = []
        self._rest = b""
        self._next_id = 0

    def send(self, data: bytes | dict[str, Any]) -> None:
        """Write a message, or bytes as they are."""
        assert self.process.stdin
        self.process.stdin.write(data if isinstance(data, bytes) else json.dumps(data).encode() + b"\n")
        self.process.stdin.flush()

    def request(self, method: str, params: dict[str, Any] | None = None, *, modern: bool = False) -> dict[str, Any]:
        """Send a request and give its answer, whatever else comes before."""
        self._next_id += 1
        params = {**(params or {}), **({"_meta": MODERN_META} if modern else {})}
        self.send({"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params})
        return self.answer(self._next_id)

    def answer(self, number: Any) -> dict[str, Any]:
        """The answer to the request *number*. Every line until then must be a JSON object."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            message = json.loads(self._line(deadline).decode())
            if message.get("id") == number and "method" not in message:
                return message

    def initialize(self) -> dict[str, Any]:
        """The handshake of the older era."""
        client = {"name": "raw", "version": "1"}
        params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client}
        answer = self.request("initialize", params)
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer

    def call(self, tool: str, arguments: dict[str, Any] | None = None, *, modern: bool = False) -> dict[str, Any]:
        """The result of a tool."""
        answer = self.request("tools/call", {"name": tool, "arguments": arguments or {}}, modern=modern)
        result: dict[str, Any] = answer["result"]
        return result

    def _line(self, deadline: float) -> bytes:
        assert self.process.stdout
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no answer within {WAIT_SECONDS:g} seconds"
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
            assert piece, f"the child ended with {self.process.wait(WAIT_SECONDS)}"
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        self.lines.append(line)
        return line


@contextmanager
def piped(command: list[str], stderr: Path | None = None) -> Generator[Pipe]:
    """A child on pipes; it is killed at the end if it still runs."""
    with (
        (stderr or Path(os.devnull)).open("ab") as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment()
        ) as process,
    ):
        try:
            yield Pipe(process)
        finally:
            process.kill()


@contextmanager
def over_http(vault: Path) -> Generator[str]:
    """The URL of a tiny server over HTTP; it is stopped at the end."""
    with subprocess.Popen(
        tiny(vault, "--http"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment()
    ) as process:
        try:
            assert process.stdout
            ready, _, _ = select.select([process.stdout], [], [], WAIT_SECONDS)
            assert ready, "the server did not start"
            yield process.stdout.readline().decode().strip()
        finally:
            process.terminate()
            try:
                process.wait(10)
            finally:
                process.kill()
