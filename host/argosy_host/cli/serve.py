"""``mcp-host serve``: one server, some, or the whole fleet as one gateway.

While the vault's fleet is up, this process is a thin relay to it: nothing heavy may be imported before that is known.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from argosy_core.errors import InvalidArgument, PermissionDenied
from argosy_core.storage.address import Address
from argosy_host.cli.options import agent_option, role_option, store_option, vault_option
from argosy_host.relay import NotRelayed, connect, hello_for, pump
from argosy_host.runtime import find_up

ALONE_VARIABLE = "ARGOSY_ALONE"  # set by the running process for its own children


@click.command()
@click.argument("servers", nargs=-1, metavar="[SERVER]…")
@vault_option
@agent_option
@role_option
@store_option
@click.option("--stdio", is_flag=True, help="Speak over stdin and stdout (the default).")
@click.option("--http", "address", metavar="HOST:PORT", help="Speak streamable HTTP; loopback only.")
@click.option("--token-issuer", "issuer", metavar="URL", help="With --http: let in those with a token of that issuer.")
@click.option("--profile", type=click.Choice(["default", "full"]), default="default", help="Which tools agents see.")
@click.option("--alone", is_flag=True, help="Serve in this process even while the fleet is up.")
@click.option("--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]), default="WARNING")
def serve(
    servers: tuple[str, ...],
    vault: Path,
    agent: str | None,
    role: str,
    store: Address | None,
    stdio: bool,
    address: str | None,
    issuer: str | None,
    profile: Any,
    alone: bool,
    log_level: Any,
) -> None:
    """Serve one SERVER, some, or (none named) the whole fleet as one gateway."""
    if stdio and address:
        raise InvalidArgument("--stdio and --http exclude each other", hint="leave one out")
    if address and role == "operator":
        raise PermissionDenied("over HTTP nobody is an operator by a flag", hint="use --role operator with stdio")
    if issuer is not None and not address:
        raise InvalidArgument("--token-issuer is about callers over HTTP", hint="add --http 127.0.0.1:8750")
    wanted = {"servers": list(servers), "agent": agent, "role": role, "profile": profile}
    if address is None and not alone and ALONE_VARIABLE not in os.environ and _relay(vault, store, wanted):
        return
    from argosy_host.cli.serve_alone import ServeOptions, serve_alone

    serve_alone(ServeOptions(servers, vault, agent, role, store, address, issuer, profile, log_level))


def _relay(vault: Path, store: Address | None, wanted: dict[str, Any]) -> bool:
    """Serve through the running fleet, until the client leaves; False when there is none that takes us."""
    found = find_up(vault)
    if found is None or not found[1].serves(store):
        return False
    place, facts = found
    try:
        door = connect(place, hello_for(facts, want="serve", **wanted))
    except NotRelayed as exc:
        click.echo(f"mcp-host: the running fleet did not take us ({exc}); serving alone", err=True)
        return False
    pump(door)
    return True
