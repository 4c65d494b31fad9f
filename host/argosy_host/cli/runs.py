"""``mcp-host runs`` and ``mcp-host costs``: the log as lists of runs and sums of money."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import click

from argosy_core.clock import SystemClock
from argosy_core.errors import Unavailable
from argosy_core.ids import SystemIds
from argosy_core.storage.address import Address
from argosy_core.storage.base import Store
from argosy_core.types import Role
from argosy_host.cli.options import json_option, print_json, store_option, vault_option
from argosy_host.direct import call_in, opened
from argosy_host.running.history import RunHistory

PAGE = 500
Event = dict[str, Any]


@click.command()
@vault_option
@store_option
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 500), help="At most this many.")
@json_option
def runs(vault: Path, store: Address | None, limit: int, as_json: bool) -> None:
    """List runs, the newest first."""
    rows = anyio.run(functools.partial(_runs, vault, store, limit))
    if as_json:
        print_json({"items": rows, "next_cursor": None})
        return
    for row in rows:
        cost = f"${row['cost_usd']:.4f}"
        click.echo(
            f"{row['run']}  {row['agent']:12} {row['status']:11} {cost:>9}  {row['model'] or '':18} {row['task'][:80]}"
        )
    if not rows:
        click.echo('No agent of this vault has run yet. Start one: mcp-host run AGENT "TASK"')


async def _runs(vault: Path, store: Address | None, limit: int) -> list[Event]:
    async with opened(vault, store) as found:
        rows, _ = await RunHistory(found, SystemClock(), SystemIds()).page(limit)
        return [asdict(row) for row in rows]


@dataclass(slots=True)
class _Sum:
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0


@click.command()
@vault_option
@store_option
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 3650), help="How far back.")
@click.option(
    "--by", type=click.Choice(["agent", "model", "day"]), default="agent", show_default=True, help="What to sum over."
)
@json_option
def costs(vault: Path, store: Address | None, days: int, by: str, as_json: bool) -> None:
    """Sum what runs spent on models."""
    sums = anyio.run(functools.partial(_costs, vault, store, days, by))
    rows = [
        {by: name, "calls": s.calls, "input_tokens": s.input_tokens, "output_tokens": s.output_tokens,
         "cost_usd": round(s.cost_usd, 6)}
        for name, s in sorted(sums.items())
    ]  # fmt: skip
    if as_json:
        print_json({"items": rows, "next_cursor": None})
        return
    for row in rows:
        click.echo(
            f"{row[by]:28} {row['calls']:6} calls {row['input_tokens']:>11,} in {row['output_tokens']:>9,} out"
            f"  ${row['cost_usd']:.4f}"
        )
    click.echo(f"${sum(s.cost_usd for s in sums.values()):.4f} in all, in {days} days")


async def _costs(vault: Path, store: Address | None, days: int, by: str) -> dict[str, _Sum]:
    since = (SystemClock().now() - timedelta(days=days)).date().isoformat()
    sums: dict[str, _Sum] = {}
    async with opened(vault, store) as found:
        async for event in _events(found, ["model.call"], since):
            fields = event["fields"]
            name = {"agent": fields.get("agent_name"), "model": fields.get("model"), "day": event["ts"][:10]}[by]
            total = sums.setdefault(str(name), _Sum())
            total.calls += 1
            total.input_tokens += fields.get("input_tokens", 0)
            total.output_tokens += fields.get("output_tokens", 0)
            total.cost_usd += fields.get("cost_usd", 0.0)
    return sums


async def _events(store: Store, kinds: Sequence[str], since: str | None) -> AsyncGenerator[Event]:
    """Events of these kinds, newest first, page by page."""
    cursor: str | None = None
    while True:
        arguments = {"kinds": list(kinds), "since": since, "limit": PAGE, "cursor": cursor}
        given = {name: value for name, value in arguments.items() if value is not None}
        outcome = await call_in(store, "log", "log_query", given, agent=None, role=Role.OPERATOR)
        if outcome.is_error or outcome.structured is None:
            raise Unavailable(f"the log did not answer: {outcome.text}", hint="mcp-host doctor says why")
        for event in outcome.structured["items"]:
            yield event
        cursor = outcome.structured["next_cursor"]
        if cursor is None:
            return
