"""``mcp-host trace``: what a run did, step by step."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import anyio
import click
from anyio import to_thread

from argosy_core.errors import NotFound
from argosy_core.storage.address import Address
from argosy_core.types import Role
from argosy_core.views.agents import list_agents
from argosy_core.views.vault_reader import VaultReader
from argosy_host.cli.call import show
from argosy_host.cli.options import json_option, store_option, vault_option
from argosy_host.direct import call_in, opened
from argosy_host.results import CallOutcome


@click.command()
@click.argument("run", required=False)
@vault_option
@store_option
@json_option
def trace(run: str | None, vault: Path, store: Address | None, as_json: bool) -> None:
    """Show the steps of RUN; without it, of the newest run."""
    show(anyio.run(functools.partial(_trace, run, vault, store)), as_json)


async def _trace(run: str | None, vault: Path, store: Address | None) -> CallOutcome:
    async with opened(vault, store) as found:
        agents = await to_thread.run_sync(list_agents, VaultReader(found.files))
        wanted = run or await _newest(found, agents)
        return await call_in(
            found, "log", "log_trace", {"run": wanted}, agent=agents[0] if agents else None, role=Role.OPERATOR
        )


async def _newest(store: Any, agents: list[str]) -> str:
    outcome = await call_in(
        store, "log", "log_query", {"kinds": ["run.start"], "limit": 1}, agent=None, role=Role.OPERATOR
    )
    items: list[dict[str, Any]] = (outcome.structured or {}).get("items", [])
    if not items:
        raise NotFound("no agent of this vault has run yet", hint='start one: mcp-host run AGENT "TASK"')
    return str(items[0]["run"])
