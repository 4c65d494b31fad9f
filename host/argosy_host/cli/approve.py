"""``mcp-host approve``: let a server start that a vault names, or the owner be told as it says."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from argosy_core.errors import NotFound, PermissionDenied
from argosy_core.fleet import FleetServer, load_registry
from argosy_core.vault import Vault
from argosy_core.views.agents import list_agents
from argosy_core.views.vault_reader import VaultReader
from argosy_host.cli.options import vault_option
from argosy_host.foreign import describe, named_servers
from argosy_host.notices import KEY, all_notices
from argosy_host.trust import Approvals, state_folder


@click.command()
@click.argument("server")
@vault_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def approve(server: str, vault: Path, yes: bool) -> None:
    """Let SERVER, which this vault names, start from now on; "notify": what tells you of questions.

    The approval is kept outside the vault and ends when what would run changes.
    """
    opened = Vault(vault)
    try:
        notices = all_notices(VaultReader(opened)) if server == KEY else []
        if notices:
            for notice in notices:
                click.echo(f"{KEY} would run: {notice.describe()}")
            _confirm(yes)
            for notice in notices:
                Approvals(state_folder()).approve(opened.root, notice.digest)
            click.echo(f"{KEY} is on.")
            return
        found = _find(VaultReader(opened), server)
        for entry in found:
            click.echo(f"{entry.name} would run: {describe(entry)}")
            if entry.env:
                click.echo(f"  with your variables: {', '.join(entry.env)}")
        _confirm(yes)
        for entry in found:
            Approvals(state_folder()).approve(opened.root, entry.digest)
        click.echo(f"{server} is on.")
    finally:
        opened.close()


def _find(reader: VaultReader, name: str) -> list[FleetServer]:
    known = [server for server in load_registry(reader.read("registry.json")).servers if not server.own]
    for agent in list_agents(reader):
        known += named_servers(reader, agent)
    found = {server.digest: server for server in known if server.name == name}
    if not found:
        names = ", ".join(sorted({server.name for server in known})) or "none"
        raise NotFound(f"this vault names no server {name!r}", hint=f"it names: {names}")
    return list(found.values())


def _confirm(yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise PermissionDenied("nobody is there to confirm", hint="look at the command above, then add --yes")
    click.confirm("Start it from now on?", abort=True)
