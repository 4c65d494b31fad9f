"""``mcp-host tools``: what the fleet offers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.serving.server import ArgosyServer
from argosy_core.storage.address import Address
from argosy_core.types import Role
from argosy_host.cli.options import json_option, print_json, role_option, store_option, vault_option


@click.command()
@vault_option
@store_option
@role_option
@click.option("--profile", type=click.Choice(["default", "full"]), default="default", help="Which tools agents see.")
@json_option
def tools(vault: Path, store: Address | None, role: str, profile: Any, as_json: bool) -> None:
    """List the tools that a role is shown, with their classes."""
    from argosy_core.fleet import packaged
    from argosy_host.compose import load_server

    opened = open_store(vault, store)
    try:
        config = ServerConfig(store=opened, role=Role(role), profile=profile)
        servers = [load_server(server.name, config) for server in packaged().servers]
        rows = [row for server in servers for row in _rows(server, Role(role))]
    finally:
        opened.close()
    if as_json:
        print_json({"items": rows, "next_cursor": None})
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        click.echo(f"{row['name']:{width}}  {row['class']:21} {row['description']}")


def _rows(server: ArgosyServer, role: Role) -> list[dict[str, Any]]:
    return [
        {
            "name": entry.name,
            "server": server.short_name,
            "class": entry.action_class.value,
            "role": entry.role.value,
            "title": entry.title,
            "description": entry.description,
        }
        for entry in server.entries_for(role)
    ]
