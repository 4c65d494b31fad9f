"""``mcp-host queue`` and ``mcp-host schedules``: the work that waits, and what will make more of it."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import click

from argosy_core.storage.address import Address
from argosy_core.storage.base import ITEM_STATES
from argosy_core.types import Role
from argosy_host.cli.call import show
from argosy_host.cli.options import json_option, print_json, store_option, vault_option
from argosy_host.direct import call_in, opened

Row = Mapping[str, Any]
NEXT_SHOWN = 3


@click.command()
@click.argument("item", required=False)
@vault_option
@store_option
@click.option("--queue", "name", help="Only this queue.")
@click.option("--state", type=click.Choice(ITEM_STATES), help="Only items in this state.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 500), help="At most this many.")
@json_option
def queue(
    item: str | None, vault: Path, store: Address | None, name: str | None, state: str | None, limit: int, as_json: bool
) -> None:
    """List the work that waits, runs or has ended, newest first; for one ITEM, every reason why it is not running."""
    if item is not None:
        show(anyio.run(functools.partial(_ask, vault, store, "queue", "queue_explain", {"item": item})), as_json)
        return
    asked = {"queue": name, "state": state, "limit": limit}
    given = {key: value for key, value in asked.items() if value is not None}
    page = _items(vault, store, "queue", "queue_inspect", given)
    if as_json:
        print_json(page)
        return
    for row in page["items"]:
        click.echo(f"{row['id']}  {row['queue']:10} {row['state']:9} {row['priority']:4} {_work(row)}")
    if not page["items"]:
        click.echo("Nothing is in the queue.")


@click.command()
@click.argument("name", required=False)
@vault_option
@store_option
@json_option
def schedules(name: str | None, vault: Path, store: Address | None, as_json: bool) -> None:
    """List the triggers and when each fires next; for one NAME, its next times and what it did."""
    if name is not None:
        _one_schedule(name, vault, store, as_json)
        return
    page = _items(vault, store, "scheduler", "schedule_list", {"limit": 500})
    if as_json:
        print_json(page)
        return
    for row in page["items"]:
        state = (row["next"] or "") if row["enabled"] else "off"
        target = " ".join(row["target"].values())
        click.echo(f"{row['name']:20} {state:25} {_when(row['when']):22} {target:12} {_cut(row['input'])}")
    for problem in page["problems"]:
        click.echo(f"! {problem}", err=True)
    if not page["items"]:
        click.echo("Nothing is scheduled. A trigger is a file: _fleet/triggers/NAME.md")


def _one_schedule(name: str, vault: Path, store: Address | None, as_json: bool) -> None:
    found = _items(vault, store, "scheduler", "schedule_get", {"name": name})
    upcoming = _items(vault, store, "scheduler", "schedule_next", {"name": name, "count": NEXT_SHOWN})
    past = _items(vault, store, "scheduler", "schedule_history", {"name": name})
    if as_json:
        print_json({"schedule": found, "next": upcoming["items"], "history": past["items"]})
        return
    click.echo(f"{name}: {_when(found['when'])} → {' '.join(found['target'].values())}: {_cut(found['input'])}")
    for row in upcoming["items"]:
        click.echo(f"  will fire {row['due']}")
    for row in past["items"]:
        click.echo(f"  {row['at']} {row['kind']} {row['item'] or row['detail'] or ''}")


def _items(vault: Path, store: Address | None, server: str, tool: str, arguments: Row) -> dict[str, Any]:
    outcome = anyio.run(functools.partial(_ask, vault, store, server, tool, arguments))
    if outcome.is_error or outcome.structured is None:
        raise outcome.error()
    return dict(outcome.structured)


async def _ask(vault: Path, store: Address | None, server: str, tool: str, arguments: Row) -> Any:
    async with opened(vault, store) as found:
        return await call_in(found, server, tool, arguments, agent=None, role=Role.OPERATOR)


def _work(row: Row) -> str:
    payload: Row = row["payload"] or {}
    said = payload.get("task") or payload.get("input") or row.get("key") or ""
    why = f" ({row['reason']})" if row.get("reason") else ""
    return _cut(f"{payload.get('agent', '')} {said}".strip()) + why


def _when(when: Row) -> str:
    parts: Sequence[str] = [
        f"{kind} {' '.join(map(str, value.values())) if isinstance(value, dict) else value}"  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        for kind, value in when.items()
    ]
    return ", ".join(parts)


def _cut(text: str) -> str:
    return " ".join(text.split())[:70]
