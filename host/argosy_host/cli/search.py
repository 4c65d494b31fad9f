"""``mcp-host search``: what an agent knows of something, and why each hit ranks where it does."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import anyio
import click

from argosy_core.storage.address import Address
from argosy_core.types import Role
from argosy_host.cli.call import show
from argosy_host.cli.options import agent_option, json_option, store_option, vault_option
from argosy_host.direct import call_tool


@click.command()
@click.argument("query")
@vault_option
@agent_option
@store_option
@click.option("--scope", type=click.Choice(["all", "notes", "wiki", "raw"]), default="all", show_default=True)
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 500), help="At most this many.")
@click.option("--explain", is_flag=True, help="Say why each hit ranks where it does, and how fresh the index is.")
@json_option
def search(
    query: str,
    vault: Path,
    agent: str | None,
    store: Address | None,
    scope: str,
    limit: int,
    explain: bool,
    as_json: bool,
) -> None:
    """Search an agent's notes, wiki and sources for QUERY: words in any order, "a phrase", begin*."""
    asked: dict[str, Any] = {"query": query, "scope": scope, "limit": limit, "explain": explain}
    wanted = functools.partial(
        call_tool, "memory", "memory_search", asked, vault=vault, agent=agent, role=Role.OPERATOR, store=store
    )
    show(anyio.run(wanted), as_json)
