"""``mcp-host judge``: what the policy says of a call, and what it would have said of past ones."""

from __future__ import annotations

import functools
from pathlib import Path

import anyio
import click

from argosy_core.clock import SystemClock
from argosy_core.storage.address import Address
from argosy_core.types import Role
from argosy_host.cli.call import parse_arguments, show
from argosy_host.cli.options import agent_option, json_option, print_json, store_option, vault_option
from argosy_host.direct import call_tool, opened
from argosy_host.replaying import Replayed, moment, replay

MAX_REASON_CHARS = 120


@click.group()
def judge() -> None:
    """What the policy in force says: of a call, or of what was done before."""


@judge.command("explain")
@click.argument("tool")
@click.argument("arguments", default="{}")
@vault_option
@agent_option
@store_option
@json_option
def explain(tool: str, arguments: str, vault: Path, agent: str | None, store: Address | None, as_json: bool) -> None:
    """Show what would come of calling TOOL with ARGUMENTS, and which file says so. Nothing is called."""
    asked = {"tool": tool, "arguments": parse_arguments(arguments)}
    outcome = anyio.run(
        functools.partial(
            call_tool, "judge", "judge_explain", asked, vault=vault, agent=agent, role=Role.AGENT, store=store
        )
    )
    show(outcome, as_json)


@judge.command("replay")
@click.option("--since", required=True, metavar="WHEN", help="A date, a time, or 7d or 12h for so long ago.")
@vault_option
@click.option("--agent", help="Only this agent's. Default: every agent's.")
@store_option
@json_option
def replay_command(since: str, vault: Path, agent: str | None, store: Address | None, as_json: bool) -> None:
    """Judge past actions by the policy as it is now, and show what would differ. Nothing is called or written."""
    found = anyio.run(_replay, moment(since, SystemClock()), vault, agent, store)
    differing = [one for one in found if one.differs]
    if as_json:
        print_json({"since": since, "judged": len(found), "items": [one.as_json() for one in found]})
        return
    for one in differing:
        click.echo(_line(one))
    asked = sum(bool(one.asks) for one in found)
    more = f"; of {asked}, a model or another judge would be asked too" if asked else ""
    click.echo(f"{len(differing)} of {len(found)} judgments would differ{more}")


async def _replay(since: str, vault: Path, agent: str | None, store: Address | None) -> list[Replayed]:
    async with opened(vault, store) as found:
        return await replay(found, since, agent)


def _line(one: Replayed) -> str:
    reason = one.reason if len(one.reason) <= MAX_REASON_CHARS else one.reason[:MAX_REASON_CHARS] + "…"
    return f"{one.ts} {one.agent} {one.tool}: {one.was} → {one.now} — {reason}"
