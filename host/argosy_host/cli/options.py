"""Options that several commands share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from argosy_core.storage.address import Address, from_environment

_Command = TypeVar("_Command", bound=Callable[..., Any])


def vault_option(command: _Command) -> _Command:
    """``--vault``: default ``$ARGOSY_VAULT``, else ``~/vault``."""
    return click.option(
        "--vault",
        type=click.Path(path_type=Path),
        default=lambda: Path(os.environ.get("ARGOSY_VAULT") or Path.home() / "vault"),
        help="The vault's folder. Default: $ARGOSY_VAULT, else ~/vault.",
    )(command)


def store_option(command: _Command) -> _Command:
    """``--store``, ``--bell`` and ``--leases``: the command gets one `Address`, None for what the vault itself says."""
    for name in ("bell", "leases"):
        help = f"Where the {name} {'is' if name == 'bell' else 'are'}: redis://HOST. Default: with the rest."
        command = click.option(
            f"--{name}", expose_value=False, is_eager=True, callback=_keep, metavar="URL", help=help
        )(command)
    return click.option(
        "--store",
        callback=_address,
        metavar="URL",
        help="Where the vault is kept: files, sqlite:///PATH or postgresql://…. Default: $ARGOSY_STORE, else what its "
        "fleet.md says, else files.",
    )(command)


def _keep(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    ctx.meta[f"argosy.{param.name}"] = value


def _address(ctx: click.Context, param: click.Parameter, value: str | None) -> Address | None:
    given = {name: ctx.meta.get(f"argosy.{name}") for name in ("bell", "leases")}
    return from_environment({"store": value, **given})


def named(vault: Path, store: Address | None) -> str:
    """The options that name the vault again; a password that its URL holds is left out."""
    return f"--vault {vault}" if store is None else f"--vault {vault} --store {store.shown}"


def json_option(command: _Command) -> _Command:
    """``--json``: one JSON object on stdout, nothing else."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def role_option(command: _Command) -> _Command:
    """``--role``: agent or operator."""
    return click.option(
        "--role",
        type=click.Choice(["agent", "operator"]),
        default="agent",
        show_default=True,
        help="Who calls: an operator may do what agents may not.",
    )(command)


def agent_option(command: _Command) -> _Command:
    """``--agent``: whose documents."""
    return click.option("--agent", help="The agent. Default: the vault's default agent.")(command)


def print_json(value: Any) -> None:
    """*value* on stdout, readable and in the order it has."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
