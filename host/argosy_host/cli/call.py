"""``mcp-host call``: one tool call from the command line."""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import Any

import anyio
import click

from argosy_core.errors import InvalidArgument, NotFound
from argosy_core.fleet import packaged
from argosy_core.storage.address import Address
from argosy_core.types import Role
from argosy_host.cli import EXIT_CODES
from argosy_host.cli.options import agent_option, json_option, print_json, role_option, store_option, vault_option
from argosy_host.direct import call_tool
from argosy_host.results import CallOutcome


@click.command()
@click.argument("tool")
@click.argument("arguments", default="{}")
@vault_option
@agent_option
@role_option
@store_option
@json_option
def call(
    tool: str, arguments: str, vault: Path, agent: str | None, role: str, store: Address | None, as_json: bool
) -> None:
    """Call TOOL with ARGUMENTS, a JSON object.

    \b
    mcp-host call memory_search '{"query": "paste"}'
    """
    found = packaged().find(tool)
    if found is None:
        raise NotFound(f"there is no tool {tool!r}", hint="mcp-host tools lists them")
    parsed = parse_arguments(arguments)
    outcome = anyio.run(
        functools.partial(
            call_tool, found[0].name, tool, parsed, vault=vault, agent=agent, role=Role(role), store=store
        )
    )
    show(outcome, as_json)


def parse_arguments(text: str) -> dict[str, Any]:
    """The arguments of a call as they are typed. Raises InvalidArgument for anything but a JSON object."""
    try:
        found: Any = json.loads(text)
    except ValueError as exc:
        raise InvalidArgument(f"the arguments are not JSON: {exc}", hint='write them as \'{"name": "value"}\'') from exc
    if not isinstance(found, dict):
        raise InvalidArgument("the arguments are not a JSON object", hint='write them as \'{"name": "value"}\'')
    return found  # pyright: ignore[reportUnknownVariableType]


def show(outcome: CallOutcome, as_json: bool) -> None:
    """Print what came of a call; a failure ends the process with its exit code."""
    if outcome.is_error:
        click.echo(f"mcp-host: {outcome.text}", err=True)
        sys.exit(EXIT_CODES.get(outcome.code or "", 1))
    if as_json:
        print_json(outcome.structured)
    else:
        click.echo(outcome.text)
