"""``mcp-host serve``: one server, some, or the whole fleet as one gateway."""

from __future__ import annotations

import base64
import binascii
import functools
import logging
import os
from pathlib import Path
from typing import Any

import anyio
import click

from argosy_core.errors import ArgosyError, InvalidArgument, PermissionDenied
from argosy_core.fleet import packaged
from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.serving.server import ArgosyServer
from argosy_core.types import Role
from argosy_host.cli.options import agent_option, role_option, store_option, vault_option
from argosy_host.compose import HOST_KEY_VARIABLE, load_server


@click.command()
@click.argument("servers", nargs=-1, metavar="[SERVER]…")
@vault_option
@agent_option
@role_option
@store_option
@click.option("--stdio", is_flag=True, help="Speak over stdin and stdout (the default).")
@click.option("--http", "address", metavar="HOST:PORT", help="Speak streamable HTTP; loopback only.")
@click.option("--profile", type=click.Choice(["default", "full"]), default="default", help="Which tools agents see.")
@click.option("--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]), default="WARNING")
def serve(
    servers: tuple[str, ...],
    vault: Path,
    agent: str | None,
    role: str,
    store: str,
    stdio: bool,
    address: str | None,
    profile: Any,
    log_level: Any,
) -> None:
    """Serve one SERVER, some, or (none named) the whole fleet as one gateway.

    Servers: desk goal journal judge log memory registry.
    """
    if stdio and address:
        raise InvalidArgument("--stdio and --http exclude each other", hint="leave one out")
    if address and role == "operator":
        raise PermissionDenied("over HTTP nobody is an operator by a flag", hint="use --role operator with stdio")
    logging.basicConfig(level=log_level, format="%(levelname)s %(name)s: %(message)s")
    opened = open_store(vault, store)
    config = ServerConfig(
        store=opened,
        agent=agent or _default_agent(opened),
        role=Role(role),
        profile=profile,
        host_key=_host_key(),
        log_level=log_level,
    )
    names = servers or tuple(server.name for server in packaged().servers)
    parts = [load_server(name, config) for name in dict.fromkeys(names)]
    try:
        anyio.run(functools.partial(_serve, parts, address))
    finally:
        opened.close()


def _default_agent(store: Any) -> str | None:
    from argosy_core.views.agents import default_agent
    from argosy_core.views.vault_reader import VaultReader

    try:
        return default_agent(VaultReader(store.vault))
    except ArgosyError:
        return None  # a tool that needs one says so, with the agents there are


def _host_key() -> bytes | None:
    text = os.environ.get(HOST_KEY_VARIABLE)
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise InvalidArgument(f"{HOST_KEY_VARIABLE} is not base64", hint="the host sets it; leave it unset") from exc


async def _serve(parts: list[ArgosyServer], address: str | None) -> None:
    main: Any = parts[0] if len(parts) == 1 else _gateway(parts)
    if address is None:
        from argosy_core.serving.stdio import serve_stdio

        await serve_stdio(main)
        return
    from argosy_core.serving.http import parse_address, serve_http

    each = {part.short_name: part for part in parts} if len(parts) > 1 else {}
    await serve_http(main, each, parse_address(address), lambda url: click.echo(f"serving {url}", err=True))


def _gateway(parts: list[ArgosyServer]) -> Any:
    from argosy_host.gateway import Gateway

    return Gateway(parts).server
