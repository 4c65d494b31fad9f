"""The same servers over every transport: in process, stdio (a child), HTTP (a child on a free port)."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from mcp import Client, StdioServerParameters
from warm import PYTHONPATH, warm

from argosy_core.fleet import packaged
from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.types import Role
from argosy_host.compose import load_server
from argosy_host.gateway import build_gateway

TRANSPORTS = ("in_process", "stdio", "http")
ERAS = ("2026-07-28", "legacy")
START_SECONDS = 30


def command(*arguments: str) -> list[str]:
    """The command line of this source tree, started as a person's is."""
    return [sys.executable, "-P", "-m", "argosy_host", *arguments]


def warm_command(*arguments: str) -> list[str]:
    """The same, started from a process that has imported all of it."""
    return warm("-m", "argosy_host", *arguments)


def environment(**extra: str) -> dict[str, str]:
    """A child's environment: the source tree on the path, and no key."""
    names = ("PATH", "HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {**kept, "PYTHONPATH": PYTHONPATH, **extra}


@asynccontextmanager
async def connected(
    transport: str, era: str, servers: tuple[str, ...], vault: Path, *flags: str
) -> AsyncGenerator[Client]:
    """A client of *servers* (none: the whole fleet as a gateway) over *vault*."""
    if transport == "in_process":
        async with _in_process(era, servers, vault, flags) as client:
            yield client
    elif transport == "stdio":
        line = warm_command("serve", *servers, "--vault", str(vault), *flags)
        target = StdioServerParameters(command=line[0], args=line[1:], env=environment())
        async with Client(target, mode=era, cache=None, read_timeout_seconds=30) as client:
            yield client
    else:
        async with http_server(servers, vault, *flags) as url, Client(url, mode=era, cache=None) as client:
            yield client


@asynccontextmanager
async def _in_process(
    era: str, servers: tuple[str, ...], vault: Path, flags: tuple[str, ...]
) -> AsyncGenerator[Client]:
    store = open_store(vault)
    role = Role.OPERATOR if "operator" in flags else Role.AGENT
    config = ServerConfig(store=store, agent="ada", role=role, profile="full" if "full" in flags else "default")
    names = servers or tuple(server.name for server in packaged().servers)
    target: Any = load_server(names[0], config) if len(names) == 1 else build_gateway(names, config).server
    try:
        async with Client(target, mode=era, cache=None) as client:
            yield client
    finally:
        await to_thread.run_sync(store.close)


@asynccontextmanager
async def http_server(servers: tuple[str, ...], vault: Path, *flags: str) -> AsyncGenerator[str]:
    """The URL of a child that serves *servers* over HTTP; it is stopped at the end."""
    line = warm_command("serve", *servers, "--vault", str(vault), "--http", "127.0.0.1:0", *flags)
    process = await to_thread.run_sync(_start, line)
    try:
        yield await to_thread.run_sync(_url, process)
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(_stop, process)


def _start(line: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(line, stderr=subprocess.PIPE, env=environment())


def _url(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr
    ready, _, _ = select.select([process.stderr], [], [], START_SECONDS)
    assert ready, "the server did not start"
    line = process.stderr.readline().decode()
    assert line.startswith("serving http"), line + process.stderr.read().decode()
    return line.split()[1]


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
    assert process.stderr
    process.stderr.close()
