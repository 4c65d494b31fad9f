"""``mcp-host secret``: set, list, check, rotate and remove secrets. A value is typed or piped in, never an argument."""

from __future__ import annotations

import functools
import getpass
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import anyio
import click

from argosy_core.errors import InvalidArgument, NotFound
from argosy_core.secrets.keys import passphrase_from
from argosy_core.secrets.secret import MAX_BYTES, MIN_CHARS, Secret, check_name
from argosy_core.secrets.secret_store import Listed, SecretStore, Surroundings, open_secrets
from argosy_core.secrets.sources import environment
from argosy_core.serving.config import open_store
from argosy_core.storage.base import Store
from argosy_core.views.vault_reader import VaultReader
from argosy_host.cli.options import json_option, print_json, vault_option

FLEET = "_fleet"
_T = TypeVar("_T")
_stdin_option = click.option("--stdin", "from_stdin", is_flag=True, help="Read the value from standard input.")


@click.group()
def secret() -> None:
    """Secrets: kept encrypted outside every vault, and handed only where fleet.md says."""


@secret.command("set")
@click.argument("name")
@_stdin_option
@vault_option
def set_secret(name: str, from_stdin: bool, vault: Path) -> None:
    """Keep a value under NAME, in place of what was there."""
    value = _read_value(check_name(name), from_stdin)
    entry = _with_store(vault, lambda store: store.set(name, value.reveal()), "secrets.set", name)
    click.echo(f"{name} is set, in the encrypted {entry.source}.")
    _say_where_it_goes(vault, name)


@secret.command("rotate")
@click.argument("name")
@_stdin_option
@vault_option
def rotate_secret(name: str, from_stdin: bool, vault: Path) -> None:
    """Put a new value in place of the one that NAME has."""
    value = _read_value(check_name(name), from_stdin)
    _with_store(vault, lambda store: store.rotate(name, value.reveal()), "secrets.rotate", name)
    click.echo(f"{name} has a new value.")


@secret.command("list")
@vault_option
@json_option
def list_secrets(vault: Path, as_json: bool) -> None:
    """Names, where each is found and where it may go; never values."""
    found = _with_store(vault, lambda store: store.listing())
    if as_json:
        print_json({"items": [_as_json(listed) for listed in found], "next_cursor": None})
        return
    for listed in found:
        click.echo(_line(listed))
    if not found:
        click.echo("No secrets yet:  mcp-host secret set NAME")


@secret.command("check")
@click.argument("name")
@vault_option
def check_secret(name: str, vault: Path) -> None:
    """Whether NAME is set, opens, and may go anywhere. Exit code 1 when it does not open."""

    def look(store: SecretStore) -> Listed:
        listed = store.look(name)
        store.get(name)
        return listed

    click.echo(_line(_with_store(vault, look)))


@secret.command("remove")
@click.argument("name")
@vault_option
def remove_secret(name: str, vault: Path) -> None:
    """Remove NAME from the keyring and the encrypted file."""
    gone = _with_store(vault, lambda store: store.remove(name), "secrets.remove", name)
    click.echo(f"{name} is removed from: {', '.join(gone)}.")


@secret.command("rekey")
@vault_option
def rekey(vault: Path) -> None:
    """Encrypt the file anew under a new passphrase; an empty one means the keyring."""
    if not sys.stdin.isatty():
        raise InvalidArgument("a new passphrase is typed", hint="run this on a terminal")
    fresh = read_from_terminal("New passphrase", confirm=True)
    count = _with_store(
        vault, lambda store: store.rekey(lambda new: fresh if fresh.reveal() else None), "secrets.rekey"
    )
    click.echo(f"{count} value(s) are encrypted anew.")


def read_from_terminal(label: str, *, confirm: bool = False) -> Secret:
    """What somebody types, without echo; asked twice with *confirm*. Raises InvalidArgument when the two differ."""
    typed = Secret(getpass.getpass(f"{label}: "))
    if confirm and Secret(getpass.getpass(f"{label} again: ")) != typed:
        raise InvalidArgument("the two are not the same", hint="nothing was changed; try again")
    return typed


def _read_value(name: str, from_stdin: bool) -> Secret:
    if from_stdin:
        text = sys.stdin.buffer.read(MAX_BYTES + 2)
        try:
            return Secret(text.decode().removesuffix("\n").removesuffix("\r"))
        except UnicodeDecodeError:
            raise InvalidArgument("the value is not text", hint="encode it, for example as base64") from None
    if not sys.stdin.isatty():
        raise InvalidArgument(
            "nobody is there to type the value", hint=f"pipe it in: … | mcp-host secret set {name} --stdin"
        )
    return read_from_terminal(f"Value of {name} (at least {MIN_CHARS} characters)", confirm=True)


def _ask_passphrase(new: bool) -> Secret | None:
    """The passphrase of the environment, else one that is typed; None where nobody can, or an empty line was given."""
    known = passphrase_from(environment())
    if known is not None or not sys.stdin.isatty():
        return known
    label = "Passphrase for the new encrypted file (empty: use the keyring)" if new else "Passphrase"
    typed = read_from_terminal(label, confirm=new)
    return typed if typed.reveal() else None


def _with_store(vault: Path, work: Callable[[SecretStore], _T], kind: str | None = None, name: str | None = None) -> _T:
    """What *work* makes of the secrets; then the event *kind*, when the vault is there to take it."""
    found = _vault_of(vault)
    try:
        reader = VaultReader(found.files) if found else None
        asked = functools.cache(_ask_passphrase)  # once, however many values are read
        result = work(open_secrets(reader, surroundings=Surroundings(ask_passphrase=asked)))
        if found and kind:
            event = {"kind": kind} if name is None else {"kind": kind, "name": name}
            anyio.run(functools.partial(_append, found, event))
        return result
    finally:
        if found:
            found.close()


async def _append(store: Store, event: dict[str, Any]) -> None:
    await store.chain.append(FLEET, "secrets", event)


def _vault_of(vault: Path) -> Store | None:
    try:
        return open_store(vault)
    except NotFound:
        return None  # secrets lie outside every vault: they can be set before there is one


def _say_where_it_goes(vault: Path, name: str) -> None:
    if not _with_store(vault, lambda store: name in store.audiences().by_name):
        click.echo(f"It goes nowhere yet: list {name} under secrets: in the vault's fleet.md.")


def _line(listed: Listed) -> str:
    when = f", set {listed.set_at[:10]}" if listed.set_at else ""
    where = f"goes to {', '.join(sorted(listed.audience.tools))}" if listed.audience else "goes nowhere"
    return f"{listed.name}  {listed.source or 'not set'}{when}  {where}"


def _as_json(listed: Listed) -> dict[str, Any]:
    audience = listed.audience.as_json() if listed.audience else None
    return {"name": listed.name, "source": listed.source, "set_at": listed.set_at, "audience": audience}
