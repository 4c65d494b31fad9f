"""``mcp-host token``: bearer tokens for clients that come over HTTP."""

from __future__ import annotations

import re
from pathlib import Path

import click

from argosy_core.clock import SystemClock
from argosy_core.errors import InvalidArgument
from argosy_core.ids import SystemIds
from argosy_core.serving.config import open_store
from argosy_core.types import Role
from argosy_core.views.vault_reader import VaultReader
from argosy_host.cli.options import json_option, print_json, role_option, vault_option
from argosy_host.session import find_agent
from argosy_host.tokens import Tokens
from argosy_host.trust import state_folder

_LENGTH = re.compile(r"(\d{1,4})([hd])")


@click.group()
def token() -> None:
    """Bearer tokens for HTTP. Once a vault has had one, its HTTP servers let nobody in without one."""


@token.command("new")
@vault_option
@click.option("--agent", help="As whom its holder calls. Default: the vault's default agent.")
@role_option
@click.option("--expires", default="90d", show_default=True, metavar="LENGTH", help="Such as 12h or 90d.")
def new(vault: Path, agent: str | None, role: str, expires: str) -> None:
    """Make a token and print it, this once: only its digest is kept, outside the vault."""
    store = open_store(vault)
    try:
        name = find_agent(VaultReader(store.files), agent).name
    finally:
        store.close()
    record, secret = _tokens(vault).new(name, Role(role), _days(expires), SystemIds())
    click.echo(f"{record.id}: {name}, {role}, until {record.expires_at}; send it as Authorization: Bearer …", err=True)
    click.echo(secret)


@token.command("list")
@vault_option
@json_option
def list_tokens(vault: Path, as_json: bool) -> None:
    """Show the vault's tokens: whose, until when, and never the token."""
    clock = SystemClock()
    rows = [
        {"id": r.id, "agent": r.agent, "role": r.role, "expires_at": r.expires_at, "state": r.state(clock)}
        for r in _tokens(vault).listed()
    ]
    if as_json:
        print_json({"items": rows, "next_cursor": None})
        return
    for row in rows:
        click.echo("{id} {agent} {role} {state}, until {expires_at}".format(**row))


@token.command("revoke")
@click.argument("name", metavar="ID")
@vault_option
def revoke(name: str, vault: Path) -> None:
    """End a token, at once."""
    record = _tokens(vault).revoke(name)
    click.echo(f"{record.id} is revoked")


def _tokens(vault: Path) -> Tokens:
    return Tokens(state_folder(), vault, SystemClock())


def _days(text: str) -> float:
    match = _LENGTH.fullmatch(text.strip())
    if match is None:
        raise InvalidArgument(f"not a length of time: {text}", hint="write 12h or 90d")
    return int(match[1]) / (24 if match[2] == "h" else 1)
