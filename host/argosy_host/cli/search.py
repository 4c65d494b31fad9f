"""``mcp-host search``: what an agent knows of something, and why each hit ranks where it does."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import click
from anyio import to_thread

from argosy_core.storage.address import Address
from argosy_core.types import Role
from argosy_host.cli.call import show
from argosy_host.cli.options import agent_option, json_option, store_option, vault_option
from argosy_host.direct import agent_name, call_in, opened
from argosy_host.results import CallOutcome

ASK_AGAIN_SECONDS = 0.5


@click.command()
@click.argument("query")
@vault_option
@agent_option
@store_option
@click.option("--scope", type=click.Choice(["all", "notes", "wiki", "raw"]), default="all", show_default=True)
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 500), help="At most this many.")
@click.option("--explain", is_flag=True, help="Say why each hit ranks where it does, and how fresh the index is.")
@click.option(
    "--wait",
    default=120,
    show_default=True,
    type=click.IntRange(0, 3600),
    metavar="SECONDS",
    help="How long to wait for an index that is still being made; 0 takes what there is.",
)
@json_option
def search(
    query: str,
    vault: Path,
    agent: str | None,
    store: Address | None,
    scope: str,
    limit: int,
    explain: bool,
    wait: int,
    as_json: bool,
) -> None:
    """Search an agent's notes, wiki and sources for QUERY: words in any order, "a phrase", begin*."""
    asked: dict[str, Any] = {"query": query, "scope": scope, "limit": limit, "explain": explain}
    show(anyio.run(functools.partial(_search, asked, wait, vault, agent, store)), as_json)


async def _search(
    asked: Mapping[str, Any], wait_seconds: int, vault: Path, agent: str | None, store: Address | None
) -> CallOutcome:
    """What a search finds once the index is whole, or after *wait_seconds*; how far it is goes to stderr meanwhile."""
    async with opened(vault, store) as found:
        name = await to_thread.run_sync(agent_name, found, agent)
        ask = functools.partial(call_in, found, "memory", "memory_search", agent=name, role=Role.OPERATOR)
        until, told = anyio.current_time() + wait_seconds, ""
        while anyio.current_time() < until and (filling := _filling(await ask({**asked, "limit": 1, "explain": True}))):
            if filling != told:
                click.echo(f"the index is being made: {filling}", err=True)
                told = filling
            await anyio.sleep(ASK_AGAIN_SECONDS)
        return await ask(asked)


def _filling(outcome: CallOutcome) -> str | None:
    """How many of how many files are in the index while it is being made."""
    explained: dict[str, Any] = (outcome.structured or {}).get("explain") or {}
    filling: str | None = explained.get("index", {}).get("filling")
    return "the files are listed" if filling == "0/0" else filling
