"""``mcp-host connect``: a client's configuration starts our servers from now on, or no longer."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from argosy_core.errors import NotFound, Unavailable
from argosy_core.fleet import packaged
from argosy_core.vault import Vault
from argosy_core.views.agents import list_agents
from argosy_core.views.vault_reader import VaultReader
from argosy_host.cli.options import agent_option, json_option, print_json, vault_option
from argosy_host.clients.changes import Change, connect_in, diff, disconnect_in, ours_in
from argosy_host.clients.config_file import ConfigFile, decode, encode
from argosy_host.clients.entries import CLIENTS, Client, Target, client_called, entry_name, entry_of
from argosy_host.clients.places import Machine, Place, place_of


@click.command()
@click.argument("client", type=click.Choice(list(CLIENTS)))
@vault_option
@agent_option
@click.option("--server", "servers", multiple=True, help="Only this server; may be given again. Default: all.")
@click.option("--remove", is_flag=True, help="Take the entry out again.")
@click.option("--yes", is_flag=True, help="Do not ask; take another's entry of this name; make the client's folder.")
@json_option
def connect(
    client: str, vault: Path, agent: str | None, servers: tuple[str, ...], remove: bool, yes: bool, as_json: bool
) -> None:
    """Let CLIENT start the servers of a vault: writes its configuration for your user, and keeps a backup.

    Shows the change first, and asks when there is a terminal. Every other entry and every comment stays.
    """
    target = Target(vault, agent, servers)
    asked = _Asked(client_called(client), target, place_of(client, Machine.here()), yes, as_json)
    outcome = asked.disconnect() if remove else asked.connect()
    if as_json:
        print_json(outcome)
    else:
        _show(outcome)


@dataclass(frozen=True, slots=True)
class _Asked:
    client: Client
    target: Target
    place: Place
    yes: bool
    as_json: bool

    @property
    def name(self) -> str:
        return entry_name(self.target.agent, self.target.servers)

    @property
    def file(self) -> str:
        return str(self.place.file)

    def connect(self) -> dict[str, Any]:
        _check_target(self.target)
        if not (self.yes or Path(self.place.folder).is_dir() or Path(self.place.file).exists()):
            raise NotFound(
                f"{self.client.title} does not seem to be here: there is no {self.place.folder}",
                hint="install it and start it once, or add --yes to write its file all the same",
            )
        if not sys.executable:
            raise Unavailable("this Python does not know where it is", hint="start mcp-host from its environment")
        entry = entry_of(self.client, self.target, sys.executable, os.environ)
        before, text = self._read()
        change = connect_in(text, self.client, self.name, entry, self.file, force=self.yes)
        return self._carry_out(before, text, change) | {"entry": entry, "warning": _warning(sys.executable)}

    def disconnect(self) -> dict[str, Any]:
        before, text = self._read()
        change = disconnect_in(text, self.client, self.name, self.file, force=self.yes)
        others = [name for name in ours_in(change.text, self.client, self.file) if name != self.name]
        return self._carry_out(before, text, change) | {"others": others}

    def _read(self) -> tuple[bytes | None, str]:
        before = ConfigFile.at(Path(self.place.file)).read()
        return before, decode(before or b"", self.file)

    def _carry_out(self, before: bytes | None, text: str, change: Change) -> dict[str, Any]:
        outcome: dict[str, Any] = {
            "client": self.client.name,
            "file": self.file,
            "name": self.name,
            "action": change.action,
            "diff": "",
            "backup": None,
            "next": None,
        }
        if change.action == "none":
            return outcome
        outcome["diff"] = diff(text, change.text, self.client, self.name, self.file)
        self._confirm(outcome["diff"])
        backup = ConfigFile.at(Path(self.place.file)).replace(before, encode(change.text, before))
        follows = "It forgets the servers at its next start." if change.action == "removed" else self.client.next_step
        return outcome | {"backup": None if backup is None else str(backup), "next": follows}

    def _confirm(self, shown: str) -> None:
        if not self.as_json or sys.stdin.isatty():
            click.echo(shown, err=self.as_json)
        if sys.stdin.isatty() and not self.yes:
            click.confirm("Write this?", abort=True, err=True)


def _check_target(target: Target) -> None:
    known = [server.name for server in packaged().servers]
    if unknown := [name for name in target.servers if name not in known]:
        raise NotFound(f"there is no server {unknown[0]!r}", hint=f"servers: {', '.join(known)}")
    opened = Vault(target.vault)
    try:
        agents = list_agents(VaultReader(opened))
    finally:
        opened.close()
    if not agents:
        raise NotFound(f"{target.vault} holds no agent", hint="name your vault with --vault; mcp-host init makes one")
    if target.agent is not None and target.agent not in agents:
        raise NotFound(f"there is no agent {target.agent!r}", hint=f"agents: {', '.join(agents)}")


def _warning(interpreter: str) -> str | None:
    parts = Path(interpreter).parts
    if "uv" in parts and any(part.startswith(("archive-v", "environments-v")) for part in parts):
        return (
            "this Python lies in uv's cache, which uv may empty: install with `uv tool install argosy`, connect again"
        )
    return None


def _show(outcome: dict[str, Any]) -> None:
    file, name = outcome["file"], outcome["name"]
    if outcome["action"] == "none":
        click.echo(f"Nothing to do: {file} {'has' if 'entry' in outcome else 'does not have'} {name}.")
    else:
        kept = f" The old file: {outcome['backup']}" if outcome["backup"] else ""
        click.echo(f"{outcome['action'].capitalize()} {name} in {file}.{kept}")
        click.echo(f"Now in {CLIENTS[outcome['client']].title}: {outcome['next']}")
    if outcome.get("others"):
        click.echo(f"Still there: {', '.join(outcome['others'])} (name the same --agent and --server to remove one).")
    if outcome.get("warning"):
        click.echo(f"! {outcome['warning']}", err=True)
